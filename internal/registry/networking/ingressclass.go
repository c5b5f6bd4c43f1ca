package networking

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/networking"
	"coxswain.dev/cox/internal/registry"
)

func ingressClass() registry.Kind[*networkingv1.IngressClass] {
	return registry.Kind[*networkingv1.IngressClass]{
		Version: networkingv1.SchemeGroupVersion, Resource: "ingressclasses", Singular: "ingressclass", ClusterScoped: true,
		New:              func() *networkingv1.IngressClass { return &networkingv1.IngressClass{} },
		NewList:          func() runtime.Object { return &networkingv1.IngressClassList{} },
		PrepareForCreate: func(_ context.Context, obj *networkingv1.IngressClass) { obj.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, obj, old *networkingv1.IngressClass) {
			obj.Generation = old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *networkingv1.IngressClass) field.ErrorList {
			return api.ValidateIngressClass(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, old *networkingv1.IngressClass) field.ErrorList {
			return api.ValidateIngressClassUpdate(obj, old)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Controller", "string", "Controller that is responsible for handling this class"),
			registry.Column("Parameters", "string", "A reference to a resource with additional parameters"),
			registry.AgeColumn,
		},
		Row: func(obj *networkingv1.IngressClass) []any {
			name := obj.Name
			if obj.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
				name += " (default)"
			}
			return []any{name, obj.Spec.Controller, parametersText(obj.Spec.Parameters), registry.Age(obj.CreationTimestamp)}
		},
	}
}

func parametersText(parameters *networkingv1.IngressClassParametersReference) string {
	switch {
	case parameters == nil:
		return "<none>"
	case parameters.APIGroup != nil:
		return parameters.Kind + "." + *parameters.APIGroup + "/" + parameters.Name
	default:
		return parameters.Kind + "/" + parameters.Name
	}
}
