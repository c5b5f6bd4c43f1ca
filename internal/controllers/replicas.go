package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"coxswain.dev/cox/internal/replicas"
)

// sets drives package replicas, for ReplicaSets and for
// ReplicationControllers: a setKind says how the two differ.
type sets struct {
	*base
	*loop
	kind       setKind
	sets, pods cache.SharedIndexInformer
	events     record.EventRecorder

	// failed is why Pods of a set could not be made the last time.
	mu     sync.Mutex
	failed map[key]*replicas.Failure
}

// setKind is what differs between the two kinds.
type setKind struct {
	name, component string
	// view makes the neutral form of a stored object.
	view func(obj any) (*replicas.Set, runtime.Object, error)
	// live reads the object from the store, past the informer.
	live func(ctx context.Context, k key) (metav1.Object, error)
	// writeStatus stores a status and returns the object as stored.
	writeStatus func(ctx context.Context, obj runtime.Object, status replicas.Status) (metav1.Object, error)
}

func newSets(b *base, informer cache.SharedIndexInformer, kind setKind) (*loop, error) {
	c := &sets{
		base: b, loop: newLoop(kind.name, 5, b.log), kind: kind, sets: informer,
		pods:   b.Core().V1().Pods().Informer(),
		events: b.recorder(kind.component),
		failed: map[key]*replicas.Failure{},
	}
	c.loop.reconcile = c.reconcile
	if err := indexByController(c.pods); err != nil {
		return nil, err
	}
	if err := onAny(c.sets, func(obj metav1.Object) { c.queue.Add(keyOf(obj)) }); err != nil {
		return nil, err
	}
	if err := onAny(c.pods, c.enqueueOwner); err != nil {
		return nil, err
	}
	// A quota that frees is why a refused Pod may be made now.
	quotas := b.Core().V1().ResourceQuotas().Informer()
	if err := onAny(quotas, func(quota *corev1.ResourceQuota) { c.retryFailed(quota.Namespace) }); err != nil {
		return nil, err
	}
	for _, watched := range []cache.SharedIndexInformer{c.sets, c.pods} {
		if err := c.own.watch(watched); err != nil {
			return nil, err
		}
	}
	return c.loop, nil
}

// enqueueOwner wakes the set of a Pod, or those that may adopt it.
func (c *sets) enqueueOwner(pod *corev1.Pod) {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		if owner.Kind == c.kind.name {
			c.queue.Add(key{Namespace: pod.Namespace, Name: owner.Name})
		}
		return
	}
	items, err := c.sets.GetIndexer().ByIndex(cache.NamespaceIndex, pod.Namespace)
	if err != nil || len(pod.Labels) == 0 {
		return
	}
	for _, item := range items {
		if set, _, err := c.kind.view(item); err == nil && set.Selector.Matches(labels.Set(pod.Labels)) {
			c.queue.Add(keyOf(&set.Meta))
		}
	}
}

// retryFailed wakes the sets of a namespace that could not make their Pods.
func (c *sets) retryFailed(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.failed {
		if k.Namespace == namespace {
			c.queue.Add(k)
		}
	}
}

func (c *sets) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.sets.GetStore().GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	if !exists {
		c.fail(k, nil)
		return time.Time{}, nil
	}
	set, obj, err := c.kind.view(item)
	if err != nil {
		return time.Time{}, err
	}
	pods, err := ownedOrOrphan[*corev1.Pod](c.pods, &set.Meta)
	if err != nil {
		return time.Time{}, err
	}
	snapshot := replicas.Snapshot{Now: now(), Set: set, Pods: pods, Related: c.related(set)}
	decision := replicas.Decide(snapshot)
	if err := c.claim(ctx, k, set, decision); err != nil {
		return time.Time{}, err
	}
	failure := c.apply(ctx, k, set, obj, decision)
	c.fail(k, failureOf(decision, failure))

	status := decision.Status
	if failure != nil {
		snapshot.Failed = c.lastFailure(k)
		status = replicas.Decide(snapshot).Status
	}
	if !equality.Semantic.DeepEqual(set.Status, status) {
		updated, err := c.kind.writeStatus(ctx, obj, status)
		if err != nil && !apierrors.IsNotFound(err) {
			return time.Time{}, errors.Join(failure, err)
		}
		if err == nil {
			c.own.wrote(k, c.sets, updated)
		}
	}
	return decision.WakeAt, failure
}

// related are the Pods of the other sets of the same owner.
func (c *sets) related(set *replicas.Set) []*corev1.Pod {
	owner := metav1.GetControllerOf(&set.Meta)
	if owner == nil {
		return nil
	}
	var pods []*corev1.Pod
	items, err := c.sets.GetIndexer().ByIndex(byController, string(owner.UID))
	if err != nil {
		return nil // the kind has no such index: its sets have no owners
	}
	for _, item := range items {
		sibling, err := cacheObject(item)
		if err != nil || sibling.GetUID() == set.Meta.UID {
			continue
		}
		of, err := c.pods.GetIndexer().ByIndex(byController, string(sibling.GetUID()))
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

func failureOf(decision replicas.Decision, err error) *replicas.Failure {
	if err == nil {
		return nil
	}
	reason := "FailedCreate"
	if len(decision.Delete) > 0 {
		reason = "FailedDelete"
	}
	return &replicas.Failure{Reason: reason, Message: err.Error(), Since: metav1.NewTime(now()).Rfc3339Copy()}
}

func (c *sets) fail(k key, failure *replicas.Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failure == nil {
		delete(c.failed, k)
		return
	}
	c.failed[k] = failure
}

func (c *sets) lastFailure(k key) *replicas.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[k]
}

// claim adopts and releases. What goes wrong here is no ReplicaFailure: the
// Pods that the set needs are there or not yet asked for.
func (c *sets) claim(ctx context.Context, k key, set *replicas.Set, decision replicas.Decision) error {
	if len(decision.Adopt) > 0 {
		if err := c.mayAdopt(ctx, k, set); err != nil {
			return err
		}
	}
	for _, ref := range decision.Adopt {
		if err := c.setOwner(ctx, k, ref, metav1.NewControllerRef(&set.Meta, set.Kind)); err != nil {
			return err
		}
	}
	for _, ref := range decision.Release {
		if err := c.setOwner(ctx, k, ref, map[string]any{"$patch": "delete", "uid": set.Meta.UID}); err != nil {
			return err
		}
	}
	return nil
}

// mayAdopt looks at the set itself: the informer may not know yet that it is
// being deleted with its Pods orphaned, or that another has its name.
func (c *sets) mayAdopt(ctx context.Context, k key, set *replicas.Set) error {
	live, err := c.kind.live(ctx, k)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: not adopting Pods: %w", c.kind.name, k, err)
	case live.GetUID() != set.Meta.UID:
		return fmt.Errorf("%s %s: not adopting Pods: it is gone, and another has its name", c.kind.name, k)
	case live.GetDeletionTimestamp() != nil:
		return fmt.Errorf("%s %s: not adopting Pods: it is being deleted", c.kind.name, k)
	}
	return nil
}

func (c *sets) apply(ctx context.Context, k key, set *replicas.Set, obj runtime.Object, decision replicas.Decision) error {
	if decision.Create > 0 {
		return slowStart(decision.Create, func() error { return c.create(ctx, k, set, obj) })
	}
	return slowStart(len(decision.Delete), inTurn(decision.Delete, func(ref replicas.PodRef) error { return c.delete(ctx, k, set, obj, ref) }))
}

// setOwner adopts or releases a Pod, in the state in which it was seen. Owners
// are merged by their UID: those that are not its controller stay.
func (c *sets) setOwner(ctx context.Context, k key, ref replicas.PodRef, owner any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": []any{owner}, "uid": ref.UID, "resourceVersion": ref.ResourceVersion,
	}})
	if err != nil {
		return err
	}
	updated, err := c.client.CoreV1().Pods(k.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.own.wrote(k, c.pods, updated)
	return nil
}

// create makes one Pod. It chooses the name, so that an answer that was lost
// can be looked up instead of making a second Pod.
func (c *sets) create(ctx context.Context, k key, set *replicas.Set, obj runtime.Object) error {
	if set.Template == nil {
		return errors.New("there is no template to make Pods of")
	}
	pod := replicas.NewPod(set, rand.String(replicas.RandomLength))
	made, err := c.client.CoreV1().Pods(k.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil && unknownOutcome(err) {
		if found, getErr := c.client.CoreV1().Pods(k.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); getErr == nil && metav1.IsControlledBy(found, &set.Meta) {
			made, err = found, nil
		}
	}
	if err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // the set goes too
		}
		c.events.Eventf(obj, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
		return err
	}
	c.own.wrote(k, c.pods, made)
	c.events.Eventf(obj, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %v", made.Name)
	return nil
}

// unknownOutcome tells whether the write may have happened all the same. An
// error without a reason is not the API server's answer.
func unknownOutcome(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonUnknown, metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout,
		metav1.StatusReasonInternalError, metav1.StatusReasonAlreadyExists:
		return true
	default:
		return false
	}
}

func (c *sets) delete(ctx context.Context, k key, set *replicas.Set, obj runtime.Object, ref replicas.PodRef) error {
	err := c.client.CoreV1().Pods(k.Namespace).Delete(ctx, ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ref.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		c.events.Eventf(obj, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
		return err
	}
	c.own.deleted(k, c.pods, key{Namespace: k.Namespace, Name: ref.Name}, ref.UID)
	if err == nil {
		c.events.Eventf(obj, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %v", ref.Name)
	}
	return nil
}

// mostAtOnce bounds how many requests of one set are under way.
const mostAtOnce = 32

// slowStart calls f count times, first once, then twice side by side, then
// four times, and so on. The first error ends it after its round: what is
// refused once (a quota) is not tried five hundred times.
func slowStart(count int, f func() error) error {
	for batch := 1; count > 0; batch = min(2*batch, mostAtOnce) {
		batch = min(batch, count)
		errs := make([]error, batch)
		var group sync.WaitGroup
		for i := range batch {
			group.Go(func() { errs[i] = f() })
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		count -= batch
	}
	return nil
}

// inTurn makes a function that handles the next item with every call, from
// any goroutine.
func inTurn[T any](items []T, f func(T) error) func() error {
	var mu sync.Mutex
	next := 0
	return func() error {
		mu.Lock()
		item := items[next]
		next++
		mu.Unlock()
		return f(item)
	}
}
