package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/cache"

	appsapi "coxswain.dev/cox/internal/apis/apps"
)

// contentPoll is how often a terminating namespace is looked at again while
// something in it is still on its way out.
const contentPoll = 200 * time.Millisecond

// namespaceDeletion empties a terminating namespace, and lets it go when
// nothing is left in it.
type namespaceDeletion struct {
	*base
	*loop
	namespaces cache.SharedIndexInformer
}

func newNamespaceDeletion(b *base) (*loop, error) {
	c := &namespaceDeletion{base: b, loop: newLoop("namespace-deletion", 2, b.log), namespaces: b.Core().V1().Namespaces().Informer()}
	c.loop.reconcile = c.reconcile
	return c.loop, onAny(c.namespaces, func(n *corev1.Namespace) {
		if n.DeletionTimestamp != nil {
			c.queue.Add(key{Name: n.Name})
		}
	})
}

func (c *namespaceDeletion) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.namespaces.GetStore().GetByKey(k.Name)
	if err != nil || !exists || item.(*corev1.Namespace).DeletionTimestamp == nil {
		return time.Time{}, err
	}
	namespace := item.(*corev1.Namespace)
	resources, err := deletableResources(c.client.Discovery())
	if err != nil {
		return time.Time{}, err
	}
	left := newRemaining()
	var errs []error
	for _, resource := range resources {
		if !resource.namespaced {
			continue
		}
		if err := c.empty(ctx, namespace.Name, resource.GroupVersionResource, left); err != nil {
			errs = append(errs, fmt.Errorf("deleting the %s of namespace %s: %w", resource.Resource, namespace.Name, err))
		}
	}
	failure := errors.Join(errs...)
	if failure == nil && len(left.objects) == 0 {
		return time.Time{}, c.finalize(ctx, namespace)
	}
	if err := c.tell(ctx, namespace, left, failure); err != nil {
		return time.Time{}, err
	}
	return now().Add(contentPoll), failure
}

// tell says in the namespace's conditions what it waits for.
func (c *namespaceDeletion) tell(ctx context.Context, namespace *corev1.Namespace, left *remaining, failure error) error {
	changed := namespace.DeepCopy()
	changed.Status.Conditions = left.conditions(changed.Status.Conditions, failure)
	if equality.Semantic.DeepEqual(namespace.Status, changed.Status) {
		return nil
	}
	_, err := c.client.CoreV1().Namespaces().UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // the next look is soon
	}
	return err
}

// empty deletes all objects of one resource, and notes what there was.
func (c *namespaceDeletion) empty(ctx context.Context, namespace string, resource schema.GroupVersionResource, left *remaining) error {
	client := c.metadata.Resource(resource).Namespace(namespace)
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	left.note(resource, list.Items)
	background := metav1.DeletePropagationBackground
	for i := range list.Items {
		object := &list.Items[i]
		if object.DeletionTimestamp != nil {
			continue
		}
		err := client.Delete(ctx, object.Name, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &object.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

// finalize takes our finalizer off: with the last one the namespace goes.
func (c *namespaceDeletion) finalize(ctx context.Context, namespace *corev1.Namespace) error {
	changed := namespace.DeepCopy()
	changed.Spec.Finalizers = nil
	for _, finalizer := range namespace.Spec.Finalizers {
		if finalizer != corev1.FinalizerKubernetes {
			changed.Spec.Finalizers = append(changed.Spec.Finalizers, finalizer)
		}
	}
	_, err := c.client.CoreV1().Namespaces().Finalize(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// deletable is a resource whose objects can be listed, watched and deleted.
type deletable struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
}

// deletableResources asks the API which resources there are, each in the
// version that the server prefers, and once only.
func deletableResources(client discovery.DiscoveryInterface) ([]deletable, error) {
	lists, err := client.ServerPreferredResources()
	if err != nil && len(lists) == 0 {
		return nil, fmt.Errorf("asking which resources there are: %w", err)
	}
	var resources []deletable
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "watch", "delete"}}, lists) {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range list.APIResources {
			if served := version.WithResource(resource.Name).GroupResource(); appsapi.Moved(served) != served {
				continue
			}
			resources = append(resources, deletable{version.WithResource(resource.Name), resource.Kind, resource.Namespaced})
		}
	}
	return resources, nil
}
