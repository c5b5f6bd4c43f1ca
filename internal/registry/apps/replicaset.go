package apps

import (
	"context"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/apps"
	coreapi "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/scale"
)

func replicaSet() registry.Kind[*appsv1.ReplicaSet] {
	return registry.Kind[*appsv1.ReplicaSet]{
		Version: appsv1.SchemeGroupVersion, Older: olderReplicaSets,
		Resource: "replicasets", Singular: "replicaset", ShortNames: []string{"rs"}, Categories: []string{"all"},
		New:     func() *appsv1.ReplicaSet { return &appsv1.ReplicaSet{} },
		NewList: func() runtime.Object { return &appsv1.ReplicaSetList{} },
		PrepareForCreate: func(_ context.Context, obj *appsv1.ReplicaSet) {
			obj.Status, obj.Generation = appsv1.ReplicaSetStatus{}, 1
		},
		PrepareForUpdate: func(_ context.Context, obj, old *appsv1.ReplicaSet) {
			obj.Status, obj.Generation = old.Status, old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *appsv1.ReplicaSet) field.ErrorList { return api.ValidateReplicaSet(obj) },
		ValidateUpdate: func(ctx context.Context, obj, old *appsv1.ReplicaSet) field.ErrorList {
			return explainSelector(ctx, api.ValidateReplicaSetUpdate(obj, old))
		},
		Warnings: func(_ context.Context, obj, old *appsv1.ReplicaSet) []string {
			return coreapi.ControllerWarnings(obj, old, &obj.Spec.Template)
		},
		DefaultOrphan: func(ctx context.Context) bool { return registry.AskedThrough(ctx, olderReplicaSets...) },
		Status: &registry.Status[*appsv1.ReplicaSet]{
			PrepareForUpdate: func(_ context.Context, obj, old *appsv1.ReplicaSet) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *appsv1.ReplicaSet) field.ErrorList {
				return api.ValidateReplicaSetStatus(&obj.Status)
			},
		},
		Fields: func(obj *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Desired", "integer", appsv1.ReplicaSetSpec{}.SwaggerDoc()["replicas"]),
			registry.Column("Current", "integer", appsv1.ReplicaSetStatus{}.SwaggerDoc()["replicas"]),
			registry.Column("Ready", "integer", appsv1.ReplicaSetStatus{}.SwaggerDoc()["readyReplicas"]),
			registry.AgeColumn,
			registry.WideColumn("Containers", "string", "Names of each container in the template."),
			registry.WideColumn("Images", "string", "Images referenced by each container in the template."),
			registry.WideColumn("Selector", "string", appsv1.ReplicaSetSpec{}.SwaggerDoc()["selector"]),
		},
		Row: func(obj *appsv1.ReplicaSet) []any {
			names, images := containersOf(&obj.Spec.Template)
			return []any{obj.Name, int64(*obj.Spec.Replicas), int64(obj.Status.Replicas), int64(obj.Status.ReadyReplicas),
				registry.Age(obj.CreationTimestamp), names, images, selectorText(obj.Spec.Selector)}
		},
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			return map[string]rest.Storage{"scale": scale.New(store, replicaSetScale)}
		},
	}
}

var replicaSetScale = scale.Accessor{
	Resource: schema.GroupResource{Group: appsv1.GroupName, Resource: "replicasets"},
	Version:  appsv1.SchemeGroupVersion,
	Older:    olderReplicaSets,
	Read: func(obj runtime.Object) scale.Size {
		rs := obj.(*appsv1.ReplicaSet)
		return scale.Size{Replicas: rs.Spec.Replicas, Current: rs.Status.Replicas, Selector: plainSelector(rs.Spec.Selector)}
	},
	Write: func(obj runtime.Object, replicas int32) { obj.(*appsv1.ReplicaSet).Spec.Replicas = &replicas },
}
