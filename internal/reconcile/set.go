package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"coxswain.dev/cox/internal/replicas"
)

// Sets runs package replicas, for ReplicaSets or for ReplicationControllers:
// its Kind says how the two differ.
type Sets struct {
	Kind SetKind
	// Sets and Pods are the caches.
	Sets, Pods Store
	PodClient  func(namespace string) Client[*corev1.Pod]
	Events     Recorder
	Own        *OwnWrites
	Now        func() time.Time
	// RandomName ends the names of new Pods: replicas.RandomLength characters.
	RandomName func() string
	// Together calls f with 0 to count-1, side by side or in turn.
	Together func(count int, f func(int))
	// Told, if there is one, hears of every decision before it is applied.
	Told func(set *replicas.Set, decision replicas.Decision)

	// failed is why Pods of a set could not be made the last time.
	mu     sync.Mutex
	failed map[Key]*replicas.Failure

	unanswered unanswered
}

// SetKind is what differs between the two kinds.
type SetKind struct {
	Name string
	// View makes the neutral form of a stored object.
	View func(obj any) (*replicas.Set, runtime.Object, error)
	// Live reads the object from the API, past the cache.
	Live func(ctx context.Context, k Key) (metav1.Object, error)
	// WriteStatus stores a status and returns the object as stored.
	WriteStatus func(ctx context.Context, obj runtime.Object, status replicas.Status) (metav1.Object, error)
}

// Owners are the keys of the set of a Pod, or of those that may adopt it.
func (c *Sets) Owners(pod *corev1.Pod) []Key {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		if owner.Kind != c.Kind.Name {
			return nil
		}
		return []Key{{Namespace: pod.Namespace, Name: owner.Name}}
	}
	items, err := c.Sets.ByIndex(ByNamespace, pod.Namespace)
	if err != nil || len(pod.Labels) == 0 {
		return nil
	}
	var keys []Key
	for _, item := range items {
		if set, _, err := c.Kind.View(item); err == nil && set.Selector.Matches(labels.Set(pod.Labels)) {
			keys = append(keys, KeyOf(&set.Meta))
		}
	}
	return keys
}

// Failed are the sets of a namespace that could not make their Pods.
func (c *Sets) Failed(namespace string) []Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []Key
	for k := range c.failed {
		if k.Namespace == namespace {
			keys = append(keys, k)
		}
	}
	return keys
}

// HasFailed tells whether a set could not make its Pods the last time.
func (c *Sets) HasFailed(k Key) bool { return c.lastFailure(k) != nil }

// Reconcile brings one set to where it should be. It returns when to look
// again although nothing has changed; zero for never.
func (c *Sets) Reconcile(ctx context.Context, k Key) (time.Time, error) {
	err := c.unanswered.resolve(ctx, k, c.Own, c.Pods, func(ctx context.Context, name string) (metav1.Object, error) {
		return c.PodClient(k.Namespace).Get(ctx, name, metav1.GetOptions{})
	})
	if err != nil {
		return time.Time{}, err
	}
	if !c.Own.Reached(k) {
		return time.Time{}, nil // what was found now wakes it again
	}
	item, exists, err := c.Sets.GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	if !exists {
		c.fail(k, nil)
		return time.Time{}, nil
	}
	set, obj, err := c.Kind.View(item)
	if err != nil {
		return time.Time{}, err
	}
	pods, err := ownedOrOrphan[*corev1.Pod](c.Pods, &set.Meta)
	if err != nil {
		return time.Time{}, err
	}
	snapshot := replicas.Snapshot{Now: c.Now(), Set: set, Pods: pods, Related: c.related(set)}
	decision := replicas.Decide(snapshot)
	if c.Told != nil {
		c.Told(set, decision)
	}
	if err := c.claim(ctx, k, set, decision); err != nil {
		return time.Time{}, err
	}
	failure := c.apply(ctx, k, set, obj, decision)
	if apierrors.IsConflict(failure) {
		return time.Time{}, failure
	}
	c.fail(k, c.failureOf(decision, failure))

	status := decision.Status
	if failure != nil {
		snapshot.Failed = c.lastFailure(k)
		status = replicas.Decide(snapshot).Status
	}
	if !sameMeaning(&set.Status, &status) {
		updated, err := c.Kind.WriteStatus(ctx, obj, status)
		if err != nil && !apierrors.IsNotFound(err) {
			return time.Time{}, errors.Join(failure, err)
		}
		if err == nil {
			c.Own.Wrote(k, c.Sets, updated)
		}
	}
	return decision.WakeAt, failure
}

// related are the Pods of the other sets of the same owner.
func (c *Sets) related(set *replicas.Set) []*corev1.Pod {
	owner := metav1.GetControllerOf(&set.Meta)
	if owner == nil {
		return nil
	}
	var pods []*corev1.Pod
	items, err := c.Sets.ByIndex(ByController, string(owner.UID))
	if err != nil {
		return nil // the kind has no such index: its sets have no owners
	}
	for _, item := range items {
		sibling, err := cacheObject(item)
		if err != nil || sibling.GetUID() == set.Meta.UID {
			continue
		}
		of, err := c.Pods.ByIndex(ByController, string(sibling.GetUID()))
		if err != nil {
			continue
		}
		for _, pod := range of {
			pods = append(pods, pod.(*corev1.Pod))
		}
	}
	return pods
}

func cacheObject(item any) (metav1.Object, error) {
	object, ok := item.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("a %T in a cache", item)
	}
	return object, nil
}

func (c *Sets) failureOf(decision replicas.Decision, err error) *replicas.Failure {
	if err == nil {
		return nil
	}
	reason := "FailedCreate"
	if len(decision.Delete) > 0 {
		reason = "FailedDelete"
	}
	return &replicas.Failure{Reason: reason, Message: err.Error(), Since: metav1.NewTime(c.Now()).Rfc3339Copy()}
}

func (c *Sets) fail(k Key, failure *replicas.Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failure == nil {
		delete(c.failed, k)
		return
	}
	if c.failed == nil {
		c.failed = map[Key]*replicas.Failure{}
	}
	c.failed[k] = failure
}

func (c *Sets) lastFailure(k Key) *replicas.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[k]
}
