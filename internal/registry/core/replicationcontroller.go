package core

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/scale"
)

func replicationController() registry.Kind[*corev1.ReplicationController] {
	return registry.Kind[*corev1.ReplicationController]{
		Version: corev1.SchemeGroupVersion, Resource: "replicationcontrollers", Singular: "replicationcontroller", ShortNames: []string{"rc"}, Categories: []string{"all"},
		New:           func() *corev1.ReplicationController { return &corev1.ReplicationController{} },
		NewList:       func() runtime.Object { return &corev1.ReplicationControllerList{} },
		DefaultOrphan: func(context.Context) bool { return true },
		PrepareForCreate: func(_ context.Context, obj *corev1.ReplicationController) {
			obj.Status, obj.Generation = corev1.ReplicationControllerStatus{}, 1
		},
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.ReplicationController) {
			obj.Status, obj.Generation = old.Status, old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *corev1.ReplicationController) field.ErrorList {
			return api.ValidateReplicationController(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, _ *corev1.ReplicationController) field.ErrorList {
			return api.ValidateReplicationController(obj)
		},
		Warnings: func(_ context.Context, obj, old *corev1.ReplicationController) []string {
			return api.ControllerWarnings(obj, old, obj.Spec.Template)
		},
		Status: &registry.Status[*corev1.ReplicationController]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.ReplicationController) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *corev1.ReplicationController) field.ErrorList {
				return api.ValidateReplicationControllerStatus(&obj.Status)
			},
		},
		Fields: func(obj *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Desired", "integer", corev1.ReplicationControllerSpec{}.SwaggerDoc()["replicas"]),
			registry.Column("Current", "integer", corev1.ReplicationControllerStatus{}.SwaggerDoc()["replicas"]),
			registry.Column("Ready", "integer", corev1.ReplicationControllerStatus{}.SwaggerDoc()["readyReplicas"]),
			registry.AgeColumn,
			registry.WideColumn("Containers", "string", "Names of each container in the template."),
			registry.WideColumn("Images", "string", "Images referenced by each container in the template."),
			registry.WideColumn("Selector", "string", corev1.ReplicationControllerSpec{}.SwaggerDoc()["selector"]),
		},
		Row: func(obj *corev1.ReplicationController) []any {
			names, images := containersOf(obj.Spec.Template) // validation wants one
			return []any{obj.Name, int64(*obj.Spec.Replicas), int64(obj.Status.Replicas), int64(obj.Status.ReadyReplicas), registry.Age(obj.CreationTimestamp),
				names, images, labels.FormatLabels(obj.Spec.Selector)}
		},
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			return map[string]rest.Storage{"scale": scale.New(store, replicationControllerScale)}
		},
	}
}

var replicationControllerScale = scale.Accessor{
	Resource: schema.GroupResource{Resource: "replicationcontrollers"},
	Version:  corev1.SchemeGroupVersion,
	Read: func(obj runtime.Object) scale.Size {
		rc := obj.(*corev1.ReplicationController)
		return scale.Size{Replicas: rc.Spec.Replicas, Current: rc.Status.Replicas, Selector: labels.SelectorFromSet(rc.Spec.Selector).String()}
	},
	Write: func(obj runtime.Object, replicas int32) {
		obj.(*corev1.ReplicationController).Spec.Replicas = &replicas
	},
}
