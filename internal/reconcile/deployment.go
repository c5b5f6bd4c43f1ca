package reconcile

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/rollout"
)

// Deployments runs package rollout.
type Deployments struct {
	// Deployments, Sets and Pods are the caches.
	Deployments, Sets, Pods Store
	DeploymentClient        func(namespace string) Client[*appsv1.Deployment]
	SetClient               func(namespace string) Client[*appsv1.ReplicaSet]
	Events                  Recorder
	Own                     *OwnWrites
	Now                     func() time.Time
	// Steady is the time that has passed, whatever the clock is set to.
	Steady func() time.Duration
	// Told, if there is one, hears of every action before it is applied.
	Told func(action rollout.Action)

	unanswered unanswered
	watching   watching
}

// Owners are the keys of the Deployment of a ReplicaSet, or of those that may
// adopt it.
func (c *Deployments) Owners(rs *appsv1.ReplicaSet) []Key {
	if owner := metav1.GetControllerOfNoCopy(rs); owner != nil {
		if owner.Kind != "Deployment" {
			return nil
		}
		return []Key{{Namespace: rs.Namespace, Name: owner.Name}}
	}
	items, err := c.Deployments.ByIndex(ByNamespace, rs.Namespace)
	if err != nil {
		return nil
	}
	var keys []Key
	for _, item := range items {
		d := item.(*appsv1.Deployment)
		if selector, err := selectorOf(d.Spec.Selector); err == nil && !selector.Empty() && selector.Matches(labels.Set(rs.Labels)) {
			keys = append(keys, KeyOf(d))
		}
	}
	return keys
}

// Waiting are the keys of the Deployment that may wait for a Pod to end:
// Recreate does, also for one that its ReplicaSet does not count any more, and
// whose end no ReplicaSet's status tells of.
func (c *Deployments) Waiting(pod *corev1.Pod) []Key {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.Kind != "ReplicaSet" {
		return nil
	}
	item, exists, err := c.Sets.GetByKey(Key{Namespace: pod.Namespace, Name: owner.Name}.String())
	if err != nil || !exists {
		return nil
	}
	owner = metav1.GetControllerOfNoCopy(item.(*appsv1.ReplicaSet))
	if owner == nil || owner.Kind != "Deployment" {
		return nil
	}
	k := Key{Namespace: pod.Namespace, Name: owner.Name}
	item, exists, err = c.Deployments.GetByKey(k.String())
	if err != nil || !exists || item.(*appsv1.Deployment).Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		return nil
	}
	return []Key{k}
}

// Reconcile brings one Deployment a wave further. It returns when to look
// again although nothing has changed; zero for never.
func (c *Deployments) Reconcile(ctx context.Context, k Key) (time.Time, error) {
	err := c.unanswered.resolve(ctx, k, c.Own, c.Sets, func(ctx context.Context, name string) (metav1.Object, error) {
		return c.SetClient(k.Namespace).Get(ctx, name, metav1.GetOptions{})
	})
	if err != nil {
		return time.Time{}, err
	}
	if !c.Own.Reached(k) {
		return time.Time{}, nil // what was found now wakes it again
	}
	item, exists, err := c.Deployments.GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	d := item.(*appsv1.Deployment)
	sets, err := ownedOrOrphan[*appsv1.ReplicaSet](c.Sets, d)
	if err != nil {
		return time.Time{}, err
	}
	var pods map[types.UID][]*corev1.Pod
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		if pods, err = c.podsOf(sets); err != nil {
			return time.Time{}, err
		}
	}
	now := c.Now()
	decision := rollout.Decide(rollout.Snapshot{Now: now, Since: c.watching.since(now, c.Steady()), Deployment: d, ReplicaSets: sets, Pods: pods})
	if len(decision.Actions) == 0 && sameMeaning(&d.Status, &decision.Status) {
		return decision.WakeAt, nil
	}
	current := copyForWriting(d)
	if err := c.act(ctx, k, current, &decision); err != nil {
		return time.Time{}, err
	}
	if err := c.writeStatus(ctx, k, current, decision.Status); err != nil {
		return time.Time{}, err
	}
	for _, event := range decision.Events {
		c.record(current, &event)
	}
	return decision.WakeAt, nil
}

// act does all that was decided, and keeps d, a copy of the Deployment, up to date.
func (c *Deployments) act(ctx context.Context, k Key, d *appsv1.Deployment, decision *rollout.Decision) error {
	for _, action := range decision.Actions {
		if c.Told != nil {
			c.Told(action)
		}
		if err := c.apply(ctx, k, d, action, decision.Status); err != nil {
			c.noteUnanswered(k, action, err)
			return fmt.Errorf("%s: %w", action.Why(), err)
		}
		if _, annotated := action.(rollout.Annotate); annotated {
			// The generation is the API's answer to nothing but that.
			decision.Status.ObservedGeneration = d.Generation
		}
	}
	return nil
}

// copyForWriting is a copy whose status and annotations may be changed.
func copyForWriting(d *appsv1.Deployment) *appsv1.Deployment {
	copied := *d
	copied.Annotations = maps.Clone(d.Annotations)
	return &copied
}

func (c *Deployments) podsOf(sets []*appsv1.ReplicaSet) (map[types.UID][]*corev1.Pod, error) {
	pods := map[types.UID][]*corev1.Pod{}
	for _, rs := range sets {
		items, err := c.Pods.ByIndex(ByController, string(rs.UID))
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			pods[rs.UID] = append(pods[rs.UID], item.(*corev1.Pod))
		}
	}
	return pods, nil
}
