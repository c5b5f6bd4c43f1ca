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

func networkPolicy() registry.Kind[*networkingv1.NetworkPolicy] {
	return registry.Kind[*networkingv1.NetworkPolicy]{
		Version: networkingv1.SchemeGroupVersion, Resource: "networkpolicies", Singular: "networkpolicy", ShortNames: []string{"netpol"},
		New:              func() *networkingv1.NetworkPolicy { return &networkingv1.NetworkPolicy{} },
		NewList:          func() runtime.Object { return &networkingv1.NetworkPolicyList{} },
		PrepareForCreate: func(_ context.Context, obj *networkingv1.NetworkPolicy) { obj.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, obj, old *networkingv1.NetworkPolicy) {
			obj.Generation = old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *networkingv1.NetworkPolicy) field.ErrorList {
			return api.ValidateNetworkPolicy(obj, nil)
		},
		ValidateUpdate: func(_ context.Context, obj, old *networkingv1.NetworkPolicy) field.ErrorList {
			return api.ValidateNetworkPolicy(obj, old)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Pod-Selector", "string", networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"]),
			registry.AgeColumn,
		},
		Row: func(obj *networkingv1.NetworkPolicy) []any {
			return []any{obj.Name, metav1.FormatLabelSelector(&obj.Spec.PodSelector), registry.Age(obj.CreationTimestamp)}
		},
	}
}
