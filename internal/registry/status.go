package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// StatusStorage serves the /status subresource of a kind: get, update and
// patch of what exists, and nothing else.
type StatusStorage struct {
	store *genericregistry.Store
}

var (
	_ rest.Getter              = &StatusStorage{}
	_ rest.Updater             = &StatusStorage{}
	_ rest.Patcher             = &StatusStorage{}
	_ rest.ResetFieldsStrategy = &StatusStorage{}
	_ rest.TableConvertor      = &StatusStorage{}
)

// New returns an empty object of the kind.
func (s *StatusStorage) New() runtime.Object { return s.store.New() }

// Destroy does nothing: the main storage owns the store.
func (s *StatusStorage) Destroy() {}

// Get reads the whole object.
func (s *StatusStorage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Update writes the status of an existing object; it never creates one.
func (s *StatusStorage) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, objInfo, createValidation, updateValidation, false, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *StatusStorage) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.store.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (s *StatusStorage) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, object, options)
}
