package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"coxswain.dev/cox/internal/rollout"
)

// deployments drives package rollout.
type deployments struct {
	*base
	*loop
	deployments, sets, pods cache.SharedIndexInformer
	events                  record.EventRecorder
}

func newDeployments(b *base) (*loop, error) {
	c := &deployments{
		base: b, loop: newLoop("deployment", 5, b.log),
		deployments: b.Apps().V1().Deployments().Informer(),
		sets:        b.Apps().V1().ReplicaSets().Informer(),
		pods:        b.Core().V1().Pods().Informer(),
		events:      b.recorder("deployment-controller"),
	}
	c.loop.reconcile = c.reconcile
	if err := indexByController(c.sets); err != nil {
		return nil, err
	}
	if err := indexByController(c.pods); err != nil {
		return nil, err
	}
	if err := onAny(c.deployments, func(d *appsv1.Deployment) { c.queue.Add(keyOf(d)) }); err != nil {
		return nil, err
	}
	if err := onAny(c.sets, c.enqueueOwner); err != nil {
		return nil, err
	}
	for _, informer := range []cache.SharedIndexInformer{c.deployments, c.sets} {
		if err := c.own.watch(informer); err != nil {
			return nil, err
		}
	}
	return c.loop, nil
}

// enqueueOwner wakes the Deployment of a ReplicaSet, or those that may adopt it.
func (c *deployments) enqueueOwner(rs *appsv1.ReplicaSet) {
	if owner := metav1.GetControllerOfNoCopy(rs); owner != nil {
		if owner.Kind == "Deployment" {
			c.queue.Add(key{Namespace: rs.Namespace, Name: owner.Name})
		}
		return
	}
	items, err := c.deployments.GetIndexer().ByIndex(cache.NamespaceIndex, rs.Namespace)
	if err != nil {
		return
	}
	for _, item := range items {
		d := item.(*appsv1.Deployment)
		if selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil && !selector.Empty() && selector.Matches(labels.Set(rs.Labels)) {
			c.queue.Add(keyOf(d))
		}
	}
}

func (c *deployments) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.deployments.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	d := item.(*appsv1.Deployment)
	sets, err := ownedOrOrphan[*appsv1.ReplicaSet](c.sets, d)
	if err != nil {
		return time.Time{}, err
	}
	pods, err := c.podsOf(sets)
	if err != nil {
		return time.Time{}, err
	}
	decision := rollout.Decide(rollout.Snapshot{Now: now(), Deployment: d, ReplicaSets: sets, Pods: pods})
	current := d.DeepCopy()
	for _, action := range decision.Actions {
		if err := c.apply(ctx, k, current, action); err != nil {
			return time.Time{}, fmt.Errorf("%s: %w", action.Why(), err)
		}
	}
	if err := c.writeStatus(ctx, k, current, decision.Status); err != nil {
		return time.Time{}, err
	}
	return decision.WakeAt, nil
}

func (c *deployments) podsOf(sets []*appsv1.ReplicaSet) (map[types.UID][]*corev1.Pod, error) {
	pods := map[types.UID][]*corev1.Pod{}
	for _, rs := range sets {
		items, err := c.pods.GetIndexer().ByIndex(byController, string(rs.UID))
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			pods[rs.UID] = append(pods[rs.UID], item.(*corev1.Pod))
		}
	}
	return pods, nil
}

// apply does one action, and keeps d, a copy of the Deployment, up to date.
func (c *deployments) apply(ctx context.Context, k key, d *appsv1.Deployment, action rollout.Action) error {
	sets := c.client.AppsV1().ReplicaSets(k.Namespace)
	switch a := action.(type) {
	case rollout.Adopt:
		return c.setOwner(ctx, k, a.Ref, []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))})
	case rollout.Release:
		return c.setOwner(ctx, k, a.Ref, nil)
	case rollout.Create:
		return c.create(ctx, k, d, a)
	case rollout.Update:
		return c.update(ctx, k, d, a)
	case rollout.Delete:
		err := sets.Delete(ctx, a.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &a.UID, ResourceVersion: &a.ResourceVersion}})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		c.own.deleted(k, c.sets, key{Namespace: k.Namespace, Name: a.Name}, a.UID)
		return nil
	case rollout.Annotate:
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		maps.Copy(d.Annotations, a.Annotations)
		updated, err := c.client.AppsV1().Deployments(k.Namespace).Update(ctx, d, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		c.own.wrote(k, c.deployments, updated)
		updated.Status = d.Status
		*d = *updated
		return nil
	default:
		return fmt.Errorf("rollout gave an unknown action %T", action)
	}
}

// setOwner adopts or releases a ReplicaSet, in the state in which it was seen.
func (c *deployments) setOwner(ctx context.Context, k key, ref rollout.Ref, owners []metav1.OwnerReference) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": owners, "uid": ref.UID, "resourceVersion": ref.ResourceVersion}})
	if err != nil {
		return err
	}
	updated, err := c.client.AppsV1().ReplicaSets(k.Namespace).Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.own.wrote(k, c.sets, updated)
	return nil
}

// create makes a ReplicaSet. If its name is taken, it may be our own of a
// moment ago, whose answer was lost; another template's makes the Deployment
// choose another name.
func (c *deployments) create(ctx context.Context, k key, d *appsv1.Deployment, a rollout.Create) error {
	sets := c.client.AppsV1().ReplicaSets(k.Namespace)
	made, err := sets.Create(ctx, a.ReplicaSet, metav1.CreateOptions{})
	switch {
	case err == nil:
		c.own.wrote(k, c.sets, made)
		c.record(d, a.Event)
		return nil
	case !apierrors.IsAlreadyExists(err):
		c.events.Eventf(d, corev1.EventTypeWarning, "ReplicaSetCreateError", "Failed to create new replica set %q: %v", a.ReplicaSet.Name, err)
		return err
	}
	existing, err := sets.Get(ctx, a.ReplicaSet.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if metav1.IsControlledBy(existing, d) && equality.Semantic.DeepEqual(existing.Spec.Template, a.ReplicaSet.Spec.Template) {
		c.own.wrote(k, c.sets, existing)
		return nil
	}
	status := *d.Status.DeepCopy()
	collisions := int32(1)
	if status.CollisionCount != nil {
		collisions += *status.CollisionCount
	}
	status.CollisionCount = &collisions
	if err := c.writeStatus(ctx, k, d, status); err != nil {
		return err
	}
	return fmt.Errorf("the name %s is taken by another template, another one will be chosen", existing.Name)
}

func (c *deployments) update(ctx context.Context, k key, d *appsv1.Deployment, a rollout.Update) error {
	item, exists, err := c.sets.GetStore().GetByKey(key{Namespace: k.Namespace, Name: a.Name}.String())
	if err != nil || !exists {
		return err
	}
	rs := item.(*appsv1.ReplicaSet).DeepCopy()
	rs.UID, rs.ResourceVersion = a.UID, a.ResourceVersion
	rs.Spec.Replicas, rs.Spec.MinReadySeconds = &a.To, a.MinReadySeconds
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	maps.Copy(rs.Annotations, a.Annotations)
	updated, err := c.client.AppsV1().ReplicaSets(k.Namespace).Update(ctx, rs, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	c.own.wrote(k, c.sets, updated)
	c.record(d, a.Event)
	return nil
}

func (c *deployments) record(d *appsv1.Deployment, event *rollout.Event) {
	if event != nil {
		c.events.Event(d, event.Type, event.Reason, event.Message)
	}
}

func (c *deployments) writeStatus(ctx context.Context, k key, d *appsv1.Deployment, status appsv1.DeploymentStatus) error {
	if equality.Semantic.DeepEqual(d.Status, status) {
		return nil
	}
	d.Status = status
	updated, err := c.client.AppsV1().Deployments(k.Namespace).UpdateStatus(ctx, d, metav1.UpdateOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.own.wrote(k, c.deployments, updated)
	return nil
}
