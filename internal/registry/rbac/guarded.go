package rbac

import (
	"context"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
)

// guarded asks before every write that could give permissions away.
type guarded struct {
	*genericregistry.Store
	// check sees the object as it is to be stored, and the one before or nil.
	check func(ctx context.Context, obj, old runtime.Object) error
}

// Create implements rest.Creater.
func (g *guarded) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return g.Store.Create(ctx, obj, g.validating(validate), options)
}

// validating asks after admission has had its say, and before the write.
func (g *guarded) validating(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if err := g.forbidden(ctx, obj, nil); err != nil {
			return err
		}
		return validate(ctx, obj)
	}
}

// Update implements rest.Updater.
func (g *guarded) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, forceCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	checked := func(ctx context.Context, obj, old runtime.Object) error {
		if err := g.forbidden(ctx, obj, old); err != nil {
			return err
		}
		return update(ctx, obj, old)
	}
	return g.Store.Update(ctx, name, info, g.validating(create), checked, forceCreate, options)
}

func (g *guarded) forbidden(ctx context.Context, obj, old runtime.Object) error {
	err := g.check(ctx, obj, old)
	if err == nil {
		return nil
	}
	name := ""
	if accessor, accessErr := meta.Accessor(obj); accessErr == nil {
		name = accessor.GetName()
	}
	return errors.NewForbidden(g.DefaultQualifiedResource, name, err)
}
