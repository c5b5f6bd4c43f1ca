package core

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"

	"coxswain.dev/cox/internal/registry"
)

// evictionStorage serves pods/eviction: a deletion that a disruption budget
// may refuse.
type evictionStorage struct {
	store   *genericregistry.Store
	budgets Budgets
}

var (
	_ rest.NamedCreater             = &evictionStorage{}
	_ rest.GroupVersionKindProvider = &evictionStorage{}
)

// evictionAttempts is how often an eviction begins anew because a Pod or its
// budget changed under its hands: each time somebody else has got on.
const evictionAttempts = 20

func (s *evictionStorage) New() runtime.Object { return &policyv1.Eviction{} }
func (s *evictionStorage) Destroy()            {}

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (s *evictionStorage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// Create deletes the named Pod with the options of the eviction, if its
// budget lets it go, and says in its status who it was.
func (s *evictionStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	deletion, err := deletionOf(eviction, options)
	if err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	changed := true
	for attempt := 0; changed && attempt < evictionAttempts; attempt++ {
		changed, err = s.evict(ctx, name, deletion.DeepCopy())
	}
	if changed {
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf("Pod %q and its disruption budget change too often to evict it, try again", name), 1)
	}
	if err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// deletionOf are the options of the eviction, and of its request: either may
// ask for a dry run.
func deletionOf(eviction *policyv1.Eviction, options *metav1.CreateOptions) (*metav1.DeleteOptions, error) {
	deletion := &metav1.DeleteOptions{}
	if eviction.DeleteOptions != nil {
		deletion = eviction.DeleteOptions.DeepCopy()
	}
	switch {
	case len(deletion.DryRun) == 0:
		deletion.DryRun = options.DryRun
	case len(options.DryRun) > 0 && !slices.Equal(deletion.DryRun, options.DryRun):
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Non-matching dry-run options in request and content: %v and %v", options.DryRun, deletion.DryRun))
	}
	return deletion, nil
}

// evict asks the budget that covers the Pod, and deletes the Pod. It returns
// changed if it has done nothing, because the Pod or the budget was not any
// more what it had looked at.
func (s *evictionStorage) evict(ctx context.Context, name string, deletion *metav1.DeleteOptions) (changed bool, err error) {
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	pod := obj.(*corev1.Pod)
	if !meant(pod, deletion.Preconditions) {
		return false, s.delete(ctx, name, deletion) // which says why not
	}
	asItIs, err := s.ask(ctx, pod, len(deletion.DryRun) > 0)
	if err != nil {
		return apierrors.IsConflict(err), err
	}
	guarded := asItIs && guard(deletion, pod)
	err = s.delete(ctx, name, deletion)
	return guarded && apierrors.IsConflict(err), err
}

func (s *evictionStorage) delete(ctx context.Context, name string, deletion *metav1.DeleteOptions) error {
	if err := s.tell(ctx, name, deletion); err != nil {
		return err
	}
	_, _, err := s.store.Delete(registry.WithDeletion(ctx), name, rest.ValidateAllObjectFunc, deletion)
	return err
}

// tell adds the condition DisruptionTarget, by which controllers see that the
// Pod did not fail by itself. A deletion that will be refused tells nothing.
func (s *evictionStorage) tell(ctx context.Context, name string, deletion *metav1.DeleteOptions) error {
	if len(deletion.DryRun) > 0 {
		return nil
	}
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return err
	}
	var preconditions storage.Preconditions
	if wanted := deletion.Preconditions; wanted != nil {
		preconditions.UID, preconditions.ResourceVersion = wanted.UID, wanted.ResourceVersion
	}
	out := s.store.NewFunc()
	err = s.store.Storage.GuaranteedUpdate(ctx, key, out, false, &preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		setPodCondition(obj.(*corev1.Pod), corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		})
		return obj, nil
	}), false, nil)
	if storage.IsConflict(err) || storage.IsInvalidObj(err) {
		return nil // the deletion says why
	}
	if err != nil {
		return storeerr.InterpretUpdateError(err, corev1.Resource("pods"), name)
	}
	if wanted := deletion.Preconditions; wanted != nil && wanted.ResourceVersion != nil {
		version := out.(*corev1.Pod).ResourceVersion
		wanted.ResourceVersion = &version // that was our own write
	}
	return nil
}
