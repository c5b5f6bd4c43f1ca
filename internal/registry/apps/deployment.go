package apps

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func deployment() registry.Kind[*appsv1.Deployment] {
	return registry.Kind[*appsv1.Deployment]{
		Version: appsv1.SchemeGroupVersion, Older: olderDeployments,
		Resource: "deployments", Singular: "deployment", ShortNames: []string{"deploy"}, Categories: []string{"all"},
		New:     func() *appsv1.Deployment { return &appsv1.Deployment{} },
		NewList: func() runtime.Object { return &appsv1.DeploymentList{} },
		PrepareForCreate: func(_ context.Context, obj *appsv1.Deployment) {
			obj.Status, obj.Generation = appsv1.DeploymentStatus{}, 1
			dropTemplateMeta(&obj.Spec.Template.ObjectMeta)
		},
		PrepareForUpdate: func(_ context.Context, obj, old *appsv1.Deployment) {
			obj.Status, obj.Generation = old.Status, old.Generation
			dropTemplateMeta(&obj.Spec.Template.ObjectMeta)
			// Annotations count: the controller copies them to ReplicaSets.
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) || !equality.Semantic.DeepEqual(obj.Annotations, old.Annotations) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *appsv1.Deployment) field.ErrorList { return api.ValidateDeployment(obj) },
		ValidateUpdate: func(ctx context.Context, obj, old *appsv1.Deployment) field.ErrorList {
			return explainSelector(ctx, api.ValidateDeploymentUpdate(obj, old))
		},
		Warnings: func(_ context.Context, obj, old *appsv1.Deployment) []string {
			return coreapi.ControllerWarnings(obj, old, &obj.Spec.Template)
		},
		DefaultOrphan: func(ctx context.Context) bool { return registry.AskedThrough(ctx, olderDeployments...) },
		Status: &registry.Status[*appsv1.Deployment]{
			PrepareForUpdate: func(_ context.Context, obj, old *appsv1.Deployment) {
				obj.Spec, obj.Labels = old.Spec, old.Labels
			},
			ValidateUpdate: func(_ context.Context, obj, old *appsv1.Deployment) field.ErrorList {
				return api.ValidateDeploymentStatus(&obj.Status, &old.Status)
			},
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Ready", "string", "Number of the pod with ready state"),
			registry.Column("Up-to-date", "string", appsv1.DeploymentStatus{}.SwaggerDoc()["updatedReplicas"]),
			registry.Column("Available", "string", appsv1.DeploymentStatus{}.SwaggerDoc()["availableReplicas"]),
			registry.AgeColumn,
			registry.WideColumn("Containers", "string", "Names of each container in the template."),
			registry.WideColumn("Images", "string", "Images referenced by each container in the template."),
			registry.WideColumn("Selector", "string", appsv1.DeploymentSpec{}.SwaggerDoc()["selector"]),
		},
		Row: func(obj *appsv1.Deployment) []any {
			names, images := containersOf(&obj.Spec.Template)
			return []any{obj.Name, fmt.Sprintf("%d/%d", obj.Status.ReadyReplicas, *obj.Spec.Replicas), int64(obj.Status.UpdatedReplicas),
				int64(obj.Status.AvailableReplicas), registry.Age(obj.CreationTimestamp), names, images, selectorText(obj.Spec.Selector)}
		},
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			return map[string]rest.Storage{"scale": scale.New(store, deploymentScale)}
		},
	}
}

// dropTemplateMeta removes what a template's metadata cannot have: it is given
// to each Pod when it is made.
func dropTemplateMeta(meta *metav1.ObjectMeta) {
	meta.CreationTimestamp = metav1.Time{}
}

var deploymentScale = scale.Accessor{
	Resource: schema.GroupResource{Group: appsv1.GroupName, Resource: "deployments"},
	Version:  appsv1.SchemeGroupVersion,
	Older:    olderDeployments,
	Read: func(obj runtime.Object) scale.Size {
		d := obj.(*appsv1.Deployment)
		return scale.Size{Replicas: d.Spec.Replicas, Current: d.Status.Replicas, Selector: plainSelector(d.Spec.Selector)}
	},
	Write: func(obj runtime.Object, replicas int32) { obj.(*appsv1.Deployment).Spec.Replicas = &replicas },
}

// plainSelector is a selector in the form that query parameters take.
func plainSelector(selector *metav1.LabelSelector) string {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return "" // validation refuses to store such a one
	}
	return compiled.String()
}
