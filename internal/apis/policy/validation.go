// Package policy has the rules of the policy kinds.
package policy

import (
	policyv1 "k8s.io/api/policy/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"coxswain.dev/cox/internal/apis/apps"
)

var unhealthyPodEvictionPolicies = []policyv1.UnhealthyPodEvictionPolicyType{policyv1.AlwaysAllow, policyv1.IfHealthyBudget}

// ValidatePodDisruptionBudget checks a budget beyond its metadata. old is nil
// for a new one; a selector that has values which are none is taken if the old
// one had such.
func ValidatePodDisruptionBudget(budget, old *policyv1.PodDisruptionBudget) field.ErrorList {
	path, spec := field.NewPath("spec"), &budget.Spec
	var errs field.ErrorList
	if spec.MinAvailable != nil && spec.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(path, *spec, "minAvailable and maxUnavailable cannot be both set"))
	}
	errs = append(errs, validateAmount(spec.MinAvailable, path.Child("minAvailable"))...)
	errs = append(errs, validateAmount(spec.MaxUnavailable, path.Child("maxUnavailable"))...)
	lenient := old != nil && len(validateSelector(old.Spec.Selector, false, nil)) > 0
	errs = append(errs, validateSelector(spec.Selector, lenient, path.Child("selector"))...)
	if policy := spec.UnhealthyPodEvictionPolicy; policy != nil && *policy != policyv1.AlwaysAllow && *policy != policyv1.IfHealthyBudget {
		errs = append(errs, field.NotSupported(path.Child("unhealthyPodEvictionPolicy"), *policy, unhealthyPodEvictionPolicies))
	}
	return errs
}

func validateSelector(selector *metav1.LabelSelector, lenient bool, path *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: lenient}, path)
}

func validateAmount(amount *intstr.IntOrString, path *field.Path) field.ErrorList {
	if amount == nil {
		return nil
	}
	return append(apps.ValidateIntOrPercent(*amount, path), apps.ValidateAtMostAll(*amount, path)...)
}

// ValidatePodDisruptionBudgetStatus checks the numbers and conditions of a
// status.
func ValidatePodDisruptionBudgetStatus(status *policyv1.PodDisruptionBudgetStatus) field.ErrorList {
	path := field.NewPath("status")
	errs := metavalidation.ValidateConditions(status.Conditions, path.Child("conditions"))
	for _, count := range []struct {
		name  string
		value int32
	}{
		{"disruptionsAllowed", status.DisruptionsAllowed}, {"currentHealthy", status.CurrentHealthy},
		{"desiredHealthy", status.DesiredHealthy}, {"expectedPods", status.ExpectedPods},
	} {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(count.value), path.Child(count.name))...)
	}
	return errs
}
