package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/core"
)

// ephemeralStorage serves pods/ephemeralcontainers: containers that are added
// to a Pod to look into it.
type ephemeralStorage struct{ store *genericregistry.Store }

var _ rest.Patcher = &ephemeralStorage{}

func newEphemeralStorage(pods *genericregistry.Store) *ephemeralStorage {
	store := *pods
	store.UpdateStrategy = ephemeralStrategy{pods.UpdateStrategy}
	return &ephemeralStorage{&store}
}

func (s *ephemeralStorage) New() runtime.Object { return s.store.New() }
func (s *ephemeralStorage) Destroy()            {}

// Get returns the whole Pod.
func (s *ephemeralStorage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Update adds containers to an existing Pod.
func (s *ephemeralStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, createValidation, updateValidation, false, options)
}

// ephemeralStrategy lets nothing but the ephemeral containers through.
type ephemeralStrategy struct{ rest.RESTUpdateStrategy }

func (ephemeralStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	added, version, managed := pod.Spec.EphemeralContainers, pod.ResourceVersion, pod.ManagedFields
	before.DeepCopyInto(pod)
	pod.Spec.EphemeralContainers, pod.ResourceVersion, pod.ManagedFields = added, version, managed
	if !equality.Semantic.DeepEqual(pod.Spec, before.Spec) {
		pod.Generation++
	}
}

func (ephemeralStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	errs := validation.ValidateObjectMetaUpdate(&pod.ObjectMeta, &before.ObjectMeta, field.NewPath("metadata"))
	return append(errs, api.ValidateEphemeralUpdate(pod, before)...)
}
