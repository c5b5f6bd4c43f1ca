package policy

import (
	"context"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	api "coxswain.dev/cox/internal/apis/policy"
	"coxswain.dev/cox/internal/registry"
)

func podDisruptionBudget(budgets *Budgets) registry.Kind[*policyv1.PodDisruptionBudget] {
	return registry.Kind[*policyv1.PodDisruptionBudget]{
		Version: policyv1.SchemeGroupVersion, Resource: "poddisruptionbudgets", Singular: "poddisruptionbudget", ShortNames: []string{"pdb"},
		New:     func() *policyv1.PodDisruptionBudget { return &policyv1.PodDisruptionBudget{} },
		NewList: func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		PrepareForCreate: func(_ context.Context, obj *policyv1.PodDisruptionBudget) {
			obj.Status, obj.Generation = policyv1.PodDisruptionBudgetStatus{}, 1
		},
		PrepareForUpdate: func(_ context.Context, obj, old *policyv1.PodDisruptionBudget) {
			obj.Status, obj.Generation = old.Status, old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *policyv1.PodDisruptionBudget) field.ErrorList {
			return api.ValidatePodDisruptionBudget(obj, nil)
		},
		ValidateUpdate: func(_ context.Context, obj, old *policyv1.PodDisruptionBudget) field.ErrorList {
			return api.ValidatePodDisruptionBudget(obj, old)
		},
		// What is allowed is spent by others meanwhile.
		ConditionalUpdate: true,
		Status: &registry.Status[*policyv1.PodDisruptionBudget]{
			PrepareForUpdate: func(_ context.Context, obj, old *policyv1.PodDisruptionBudget) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *policyv1.PodDisruptionBudget) field.ErrorList {
				return api.ValidatePodDisruptionBudgetStatus(&obj.Status)
			},
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Min Available", "string", "The minimum number of pods that must be available."),
			registry.Column("Max Unavailable", "string", "The maximum number of pods that may be unavailable."),
			registry.Column("Allowed Disruptions", "integer", "Calculated number of pods that may be disrupted at this time."),
			registry.AgeColumn,
		},
		Row: func(obj *policyv1.PodDisruptionBudget) []any {
			return []any{obj.Name, amountText(obj.Spec.MinAvailable), amountText(obj.Spec.MaxUnavailable),
				int64(obj.Status.DisruptionsAllowed), registry.Age(obj.CreationTimestamp)}
		},
		Store: func(store *genericregistry.Store) { budgets.store = store },
	}
}

func amountText(amount *intstr.IntOrString) string {
	if amount == nil {
		return "N/A"
	}
	return amount.String()
}
