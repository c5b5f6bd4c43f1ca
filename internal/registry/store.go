package registry

import (
	"fmt"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Builder makes the storages of one resource. Every Kind is one.
type Builder interface {
	GroupVersion() schema.GroupVersion
	// Build returns the storages by path below the version: "pods",
	// "pods/status", "pods/log".
	Build(scheme *runtime.Scheme, options generic.RESTOptionsGetter) (map[string]rest.Storage, error)
	// AddFieldLabels tells scheme which field selectors the kind accepts.
	AddFieldLabels(scheme *runtime.Scheme) error
}

// GroupVersion implements Builder.
func (k Kind[O]) GroupVersion() schema.GroupVersion { return k.Version }

// Build implements Builder.
func (k Kind[O]) Build(scheme *runtime.Scheme, options generic.RESTOptionsGetter) (map[string]rest.Storage, error) {
	resource := schema.GroupResource{Group: k.Version.Group, Resource: k.Resource}
	main := mainStrategy[O]{strategy: newStrategy(scheme, k)}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return k.New() },
		NewListFunc:               k.NewList,
		DefaultQualifiedResource:  resource,
		SingularQualifiedResource: schema.GroupResource{Group: k.Version.Group, Resource: k.Singular},
		CreateStrategy:            main,
		UpdateStrategy:            main,
		DeleteStrategy:            main.deleteStrategy(),
		ResetFieldsStrategy:       main,
		TableConvertor:            newTable(k),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options, AttrFunc: k.attributes}); err != nil {
		return nil, fmt.Errorf("storage of %s: %w", resource, err)
	}
	if k.Store != nil {
		k.Store(store)
	}

	served := resourceStorage{Store: store, shortNames: k.ShortNames, categories: k.Categories}
	storages := map[string]rest.Storage{k.Resource: served}
	if k.GracefulDelete != nil {
		storages[k.Resource] = gracefulStorage{served}
	}
	if k.Wrap != nil {
		storages[k.Resource] = k.Wrap(store)
	}
	var status *genericregistry.Store
	if k.Status != nil {
		copied := *store
		status = &copied
		strategy := statusStrategy[O]{strategy: main.strategy}
		status.UpdateStrategy, status.ResetFieldsStrategy = strategy, strategy
		storages[k.Resource+"/status"] = &StatusStorage{store: status}
	}
	if k.Subresources != nil {
		for name, storage := range k.Subresources(store, status) {
			storages[k.Resource+"/"+name] = storage
		}
	}
	return storages, nil
}

// AddFieldLabels implements Builder.
func (k Kind[O]) AddFieldLabels(scheme *runtime.Scheme) error {
	kinds, _, err := scheme.ObjectKinds(k.New())
	if err != nil {
		return err
	}
	for _, version := range append([]schema.GroupVersion{k.Version}, k.Older...) {
		if err := scheme.AddFieldLabelConversionFunc(version.WithKind(kinds[0].Kind), k.fieldLabels()); err != nil {
			return err
		}
	}
	return nil
}

// fieldLabels accepts the field selectors that the kind knows.
func (k Kind[O]) fieldLabels() runtime.FieldLabelConversionFunc {
	if k.Fields == nil {
		return runtime.DefaultMetaV1FieldSelectorConversion
	}
	known := map[string]bool{"metadata.name": true, "metadata.namespace": !k.ClusterScoped}
	for label := range k.Fields(k.New()) {
		known[label] = true
	}
	return func(label, value string) (string, string, error) {
		if !known[label] {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return label, value, nil
	}
}

// attributes returns what label and field selectors are matched against.
func (k Kind[O]) attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	typed, ok := obj.(O)
	if !ok {
		return nil, nil, fmt.Errorf("a %T is not a %s", obj, k.Singular)
	}
	set := fields.Set{"metadata.name": typed.GetName()}
	if !k.ClusterScoped {
		set["metadata.namespace"] = typed.GetNamespace()
	}
	if k.Fields != nil {
		for label, value := range k.Fields(typed) {
			set[label] = value
		}
	}
	return typed.GetLabels(), set, nil
}

// resourceStorage adds the names of a resource to its store.
type resourceStorage struct {
	*genericregistry.Store
	shortNames, categories []string
}

func (s resourceStorage) ShortNames() []string { return s.shortNames }
func (s resourceStorage) Categories() []string { return s.categories }
