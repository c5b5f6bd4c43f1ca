package core

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func namespace() registry.Kind[*corev1.Namespace] {
	return registry.Kind[*corev1.Namespace]{
		Version: corev1.SchemeGroupVersion, Resource: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, ClusterScoped: true,
		New:      func() *corev1.Namespace { return &corev1.Namespace{} },
		NewList:  func() runtime.Object { return &corev1.NamespaceList{} },
		NameRule: apivalidation.ValidateNamespaceName,
		PrepareForCreate: func(_ context.Context, obj *corev1.Namespace) {
			obj.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
			if !slices.Contains(obj.Spec.Finalizers, corev1.FinalizerKubernetes) {
				obj.Spec.Finalizers = append(obj.Spec.Finalizers, corev1.FinalizerKubernetes)
			}
		},
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.Namespace) {
			obj.Spec.Finalizers, obj.Status = old.Spec.Finalizers, old.Status
		},
		Validate: func(_ context.Context, obj *corev1.Namespace) field.ErrorList { return api.ValidateNamespace(obj) },
		Status: &registry.Status[*corev1.Namespace]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.Namespace) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *corev1.Namespace) field.ErrorList {
				return api.ValidateNamespaceStatus(obj)
			},
		},
		Fields: func(obj *corev1.Namespace) fields.Set {
			return fields.Set{"status.phase": string(obj.Status.Phase)}
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Status", "string", "The status of the namespace"),
			registry.AgeColumn,
		},
		Row: func(obj *corev1.Namespace) []any {
			return []any{obj.Name, string(obj.Status.Phase), registry.Age(obj.CreationTimestamp)}
		},
		Store: func(store *genericregistry.Store) {
			// The last finalizer of the spec ends a namespace too.
			store.ShouldDeleteDuringUpdate = func(ctx context.Context, key string, obj, existing runtime.Object) bool {
				return len(obj.(*corev1.Namespace).Spec.Finalizers) == 0 && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
			}
		},
		Wrap: func(store *genericregistry.Store) rest.Storage { return &namespaceStorage{store, store} },
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			finalize := *store
			finalize.UpdateStrategy = finalizeStrategy{store.UpdateStrategy}
			return map[string]rest.Storage{"finalize": &finalizeStorage{&finalize}}
		},
	}
}

// namespaceStorage deletes in two steps: a namespace is marked as terminating
// first, and goes when the controller has emptied it.
type namespaceStorage struct {
	namespaceVerbs
	store *genericregistry.Store
}

// namespaceVerbs are what is offered beside Delete. Deleting a collection is
// not: too much would go with one word.
type namespaceVerbs interface {
	rest.Storage
	rest.Getter
	rest.Lister
	rest.Watcher
	rest.Creater
	rest.Updater
	rest.Scoper
	rest.SingularNameProvider
	rest.ResetFieldsStrategy
	rest.StorageWithReadiness
}

var _ rest.GracefulDeleter = &namespaceStorage{}

func (s *namespaceStorage) ShortNames() []string { return []string{"ns"} }

// DeleteReturnsDeletedObject implements rest.MayReturnFullObjectDeleter.
func (s *namespaceStorage) DeleteReturnsDeletedObject() bool { return true }

// Delete marks the namespace, or removes it if nothing holds it any more.
func (s *namespaceStorage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := s.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	namespace := obj.(*corev1.Namespace)
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if err := matches(namespace, options.Preconditions); err != nil {
		return nil, false, err
	}
	if namespace.DeletionTimestamp != nil && len(namespace.Spec.Finalizers) == 0 {
		return s.store.Delete(ctx, name, validate, options)
	}
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, false, err
	}
	out := s.store.NewFunc()
	err = s.store.Storage.GuaranteedUpdate(ctx, key, out, false, &storage.Preconditions{UID: &namespace.UID}, storage.SimpleUpdate(func(existing runtime.Object) (runtime.Object, error) {
		current := existing.(*corev1.Namespace)
		if err := validate(ctx, current); err != nil {
			return nil, err
		}
		if current.DeletionTimestamp == nil {
			now := metav1.Now()
			current.DeletionTimestamp = &now
		}
		current.Status.Phase = corev1.NamespaceTerminating
		return current, nil
	}), len(options.DryRun) > 0, nil)
	if err != nil {
		if storage.IsNotFound(err) {
			err = apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
		}
		return nil, false, err
	}
	return out, false, nil
}

func matches(namespace *corev1.Namespace, wanted *metav1.Preconditions) error {
	resource := schema.GroupResource{Resource: "namespaces"}
	switch {
	case wanted == nil:
	case wanted.UID != nil && *wanted.UID != namespace.UID:
		return apierrors.NewConflict(resource, namespace.Name, errPrecondition("UID", string(*wanted.UID), string(namespace.UID)))
	case wanted.ResourceVersion != nil && *wanted.ResourceVersion != namespace.ResourceVersion:
		return apierrors.NewConflict(resource, namespace.Name, errPrecondition("ResourceVersion", *wanted.ResourceVersion, namespace.ResourceVersion))
	}
	return nil
}

type preconditionError string

func (e preconditionError) Error() string { return string(e) }

func errPrecondition(what, wanted, found string) error {
	return preconditionError("Precondition failed: " + what + " in precondition: " + wanted + ", " + what + " in object meta: " + found)
}

// finalizeStorage serves namespaces/finalize: it changes spec.finalizers only.
type finalizeStorage struct{ store *genericregistry.Store }

var _ rest.Updater = &finalizeStorage{}

func (s *finalizeStorage) New() runtime.Object { return s.store.New() }
func (s *finalizeStorage) Destroy()            {}

func (s *finalizeStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, createValidation, updateValidation, false, options)
}

type finalizeStrategy struct{ rest.RESTUpdateStrategy }

func (finalizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	obj.(*corev1.Namespace).Status = old.(*corev1.Namespace).Status
}

// ValidateUpdate checks the finalizers beside the metadata.
func (s finalizeStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return append(s.RESTUpdateStrategy.ValidateUpdate(ctx, obj, old), api.ValidateNamespaceFinalize(obj.(*corev1.Namespace))...)
}
