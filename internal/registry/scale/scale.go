// Package scale serves the /scale subresource of kinds that have replicas: an
// autoscaling/v1 Scale, made from the object and written back to it.
package scale

import (
	"context"
	"fmt"
	"slices"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Size is what a Scale shows of an object.
type Size struct {
	// Replicas is the wanted number; nil means 1.
	Replicas *int32
	Current  int32
	// Selector is the text of the label selector.
	Selector string
}

// Accessor reads and writes the size of a kind.
type Accessor struct {
	Resource schema.GroupResource
	// Version is where the kind is served, Older where it is served too: these
	// have Scales of their own.
	Version schema.GroupVersion
	Older   []schema.GroupVersion
	Read    func(obj runtime.Object) Size
	Write   func(obj runtime.Object, replicas int32)
}

// Storage serves get, update and patch of one kind's /scale.
type Storage struct {
	store *genericregistry.Store
	kind  Accessor
}

var (
	_ rest.Patcher                  = &Storage{}
	_ rest.GroupVersionKindProvider = &Storage{}
)

// New makes the storage over the kind's own store.
func New(store *genericregistry.Store, kind Accessor) *Storage { return &Storage{store, kind} }

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (s *Storage) GroupVersionKind(served schema.GroupVersion) schema.GroupVersionKind {
	if slices.Contains(s.kind.Older, served) {
		return served.WithKind("Scale")
	}
	return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
}

// New returns an empty Scale.
func (s *Storage) New() runtime.Object { return &autoscalingv1.Scale{} }

// Destroy does nothing: the main storage owns the store.
func (s *Storage) Destroy() {}

// Get returns the Scale of an object.
func (s *Storage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := s.store.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return s.scaleOf(obj)
}

// ConvertToTable prints a Scale with its name and its age.
func (s *Storage) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(autoscalingv1.Resource("scales")).ConvertToTable(ctx, object, options)
}

// Update writes the wanted number of replicas.
func (s *Storage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	obj, _, err := s.store.Update(ctx, name, &objectInfo{s, name, info}, s.asScale(createValidation), s.asScaleUpdate(updateValidation), false, options)
	if err != nil {
		return nil, false, err
	}
	result, err := s.scaleOf(obj)
	return result, false, err
}

func (s *Storage) asScale(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		scale, err := s.scaleOf(obj)
		if err != nil {
			return err
		}
		return validate(ctx, scale)
	}
}

func (s *Storage) asScaleUpdate(validate rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		scale, err := s.scaleOf(obj)
		if err != nil {
			return err
		}
		before, err := s.scaleOf(old)
		if err != nil {
			return err
		}
		return validate(ctx, scale, before)
	}
}

// mappings say which field of a Scale is which field of the object, so that
// server-side apply knows who owns spec.replicas.
func (s *Storage) mappings() managedfields.ResourcePathMappings {
	paths := managedfields.ResourcePathMappings{}
	for _, version := range append([]schema.GroupVersion{s.kind.Version}, s.kind.Older...) {
		paths[version.String()] = fieldpath.MakePathOrDie("spec", "replicas")
	}
	return paths
}

func (s *Storage) handler(obj metav1.Object) *managedfields.ScaleHandler {
	return managedfields.NewScaleHandler(obj.GetManagedFields(), s.kind.Version, s.mappings())
}

func (s *Storage) scaleOf(obj runtime.Object) (*autoscalingv1.Scale, error) {
	meta, ok := obj.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("a %T has no metadata", obj)
	}
	owned, err := s.handler(meta).ToSubresource()
	if err != nil {
		return nil, err
	}
	size := s.kind.Read(obj)
	scale := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{
			Name: meta.GetName(), Namespace: meta.GetNamespace(), UID: meta.GetUID(),
			ResourceVersion: meta.GetResourceVersion(), CreationTimestamp: meta.GetCreationTimestamp(), ManagedFields: owned,
		},
		Status: autoscalingv1.ScaleStatus{Replicas: size.Current, Selector: size.Selector},
	}
	scale.Spec.Replicas = 1
	if size.Replicas != nil {
		scale.Spec.Replicas = *size.Replicas
	}
	return scale, nil
}

// objectInfo turns an update of a Scale into one of its object.
type objectInfo struct {
	storage *Storage
	name    string
	scale   rest.UpdatedObjectInfo
}

func (i *objectInfo) Preconditions() *metav1.Preconditions { return i.scale.Preconditions() }

func (i *objectInfo) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	meta, ok := old.(metav1.Object)
	if !ok || meta.GetUID() == "" && meta.GetResourceVersion() == "" {
		return nil, apierrors.NewNotFound(i.storage.kind.Resource, i.name)
	}
	before, err := i.storage.scaleOf(old)
	if err != nil {
		return nil, err
	}
	changed, err := i.scale.UpdatedObject(ctx, before)
	if err != nil {
		return nil, err
	}
	scale, ok := changed.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("wrong object passed to Scale update: %T", changed))
	}
	if errs := validate(scale); len(errs) > 0 {
		return nil, apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), i.name, errs)
	}
	if scale.ResourceVersion != "" && scale.ResourceVersion != meta.GetResourceVersion() {
		return nil, apierrors.NewConflict(i.storage.kind.Resource, i.name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	updated := old.DeepCopyObject()
	i.storage.kind.Write(updated, scale.Spec.Replicas)
	owned, err := i.storage.handler(meta).ToParent(scale.ManagedFields)
	if err != nil {
		return nil, err
	}
	updated.(metav1.Object).SetManagedFields(owned)
	return updated, nil
}

func validate(scale *autoscalingv1.Scale) field.ErrorList {
	if scale.Spec.Replicas < 0 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0")}
	}
	return nil
}
