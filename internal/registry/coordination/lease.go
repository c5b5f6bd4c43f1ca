// Package coordination describes the kinds of the coordination.k8s.io group.
package coordination

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/coordination"
	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder { return []registry.Builder{lease()} }

func lease() registry.Kind[*coordinationv1.Lease] {
	return registry.Kind[*coordinationv1.Lease]{
		Version: coordinationv1.SchemeGroupVersion, Resource: "leases", Singular: "lease",
		New:                 func() *coordinationv1.Lease { return &coordinationv1.Lease{} },
		NewList:             func() runtime.Object { return &coordinationv1.LeaseList{} },
		AllowCreateOnUpdate: true,
		Validate:            func(_ context.Context, obj *coordinationv1.Lease) field.ErrorList { return api.ValidateLease(obj) },
		ValidateUpdate: func(_ context.Context, obj, _ *coordinationv1.Lease) field.ErrorList {
			return api.ValidateLease(obj)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn, registry.Column("Holder", "string", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]), registry.AgeColumn,
		},
		Row: func(obj *coordinationv1.Lease) []any {
			holder := ""
			if obj.Spec.HolderIdentity != nil {
				holder = *obj.Spec.HolderIdentity
			}
			return []any{obj.Name, holder, registry.Age(obj.CreationTimestamp)}
		},
	}
}
