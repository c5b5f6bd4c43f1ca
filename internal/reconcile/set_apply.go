package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
)

// claim adopts and releases. What goes wrong here is no ReplicaFailure: the
// Pods that the set needs are there or not yet asked for.
func (c *Sets) claim(ctx context.Context, k Key, set *replicas.Set, decision replicas.Decision) error {
	if len(decision.Adopt) > 0 {
		if err := c.mayAdopt(ctx, k, set); err != nil {
			return err
		}
	}
	for _, ref := range decision.Adopt {
		// One that is gone is an error too: the decision counted it, and what it
		// made too much of would go for nothing.
		if err := c.setOwner(ctx, k, ref, metav1.NewControllerRef(&set.Meta, set.Kind)); err != nil {
			return err
		}
	}
	for _, ref := range decision.Release {
		err := c.setOwner(ctx, k, ref, map[string]any{"$patch": "delete", "uid": set.Meta.UID})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// mayAdopt looks at the set itself: the informer may not know yet that it is
// being deleted with its Pods orphaned, or that another has its name.
func (c *Sets) mayAdopt(ctx context.Context, k Key, set *replicas.Set) error {
	live, err := c.Kind.Live(ctx, k)
	if err != nil {
		return fmt.Errorf("%s %s: not adopting Pods: %w", c.Kind.Name, k, err)
	}
	return adoptable(c.Kind.Name, k, set.Meta.UID, live, "Pods")
}

func (c *Sets) apply(ctx context.Context, k Key, set *replicas.Set, obj runtime.Object, decision replicas.Decision) error {
	if decision.Create > 0 {
		return c.slowStart(decision.Create, func() error { return c.create(ctx, k, set, obj) })
	}
	return c.slowStart(len(decision.Delete), inTurn(decision.Delete, func(ref replicas.PodRef) error { return c.delete(ctx, k, set, obj, ref) }))
}

// setOwner adopts or releases a Pod, in the state in which it was seen.
func (c *Sets) setOwner(ctx context.Context, k Key, ref replicas.PodRef, owner any) error {
	patch, err := ownerPatch(owner, ref.UID, ref.ResourceVersion)
	if err != nil {
		return err
	}
	updated, err := c.PodClient(k.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	c.Own.Wrote(k, c.Pods, updated)
	return nil
}

// create makes one Pod. It chooses the name, so that an answer that was lost
// can be looked up instead of making a second Pod.
func (c *Sets) create(ctx context.Context, k Key, set *replicas.Set, obj runtime.Object) error {
	if set.Template == nil {
		return errors.New("there is no template to make Pods of")
	}
	pod := replicas.NewPod(set, c.RandomName())
	made, err := c.PodClient(k.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil && unknownOutcome(err) {
		found, getErr := c.PodClient(k.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case getErr == nil && metav1.IsControlledBy(found, &set.Meta):
			made, err = found, nil
		case getErr != nil && !apierrors.IsNotFound(getErr):
			c.unanswered.note(k, unknownWrite{name: pod.Name})
		}
	}
	if err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // the set goes too
		}
		c.Events.Eventf(obj, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
		return err
	}
	c.Own.Wrote(k, c.Pods, made)
	c.Events.Eventf(obj, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %v", made.Name)
	return nil
}

func (c *Sets) delete(ctx context.Context, k Key, set *replicas.Set, obj runtime.Object, ref replicas.PodRef) error {
	err := c.PodClient(k.Namespace).Delete(ctx, ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ref.UID}})
	if apierrors.IsConflict(err) {
		return err // another has its name: the cache will tell
	}
	if err != nil && !apierrors.IsNotFound(err) {
		if unknownOutcome(err) {
			c.unanswered.note(k, unknownWrite{ref.Name, ref.UID})
		}
		c.Events.Eventf(obj, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
		return err
	}
	c.Own.Deleted(k, c.Pods, Key{Namespace: k.Namespace, Name: ref.Name}, ref.UID)
	if err == nil {
		c.Events.Eventf(obj, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %v", ref.Name)
	}
	return nil
}

// mostAtOnce bounds how many requests of one set are under way.
const mostAtOnce = 32

// slowStart calls f count times, first once, then twice side by side, then
// four times, and so on. The first error ends it after its round: what is
// refused once (a quota) is not tried five hundred times.
func (c *Sets) slowStart(count int, f func() error) error {
	for batch := 1; count > 0; batch = min(2*batch, mostAtOnce) {
		batch = min(batch, count)
		errs := make([]error, batch)
		c.Together(batch, func(i int) { errs[i] = f() })
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
