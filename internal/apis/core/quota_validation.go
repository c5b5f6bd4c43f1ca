package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateResourceQuota checks a new quota.
func ValidateResourceQuota(quota *corev1.ResourceQuota) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateQuotaAmounts(quota.Spec.Hard, path.Child("hard"))
	errs = append(errs, validateScopes(&quota.Spec, path.Child("scopes"))...)
	if quota.Spec.ScopeSelector != nil {
		errs = append(errs, validateScopeSelector(&quota.Spec, path.Child("scopeSelector", "matchExpressions"))...)
	}
	return errs
}

// ValidateResourceQuotaUpdate keeps a quota's scopes.
func ValidateResourceQuotaUpdate(quota, old *corev1.ResourceQuota) field.ErrorList {
	errs := ValidateResourceQuota(quota)
	if !sets.New(quota.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "scopes"), quota.Spec.Scopes, apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateResourceQuotaStatusUpdate checks what a controller has counted.
func ValidateResourceQuotaStatusUpdate(quota *corev1.ResourceQuota) field.ErrorList {
	path := field.NewPath("status")
	return append(validateQuotaAmounts(quota.Status.Hard, path.Child("hard")), validateQuotaAmounts(quota.Status.Used, path.Child("used"))...)
}

func validateQuotaAmounts(amounts corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range byName(amounts) {
		at := path.Key(string(name))
		errs = append(errs, validateResourceName(name, at)...)
		if !strings.Contains(string(name), "/") && (!isStandard(name) || name == corev1.ResourceStorage) {
			errs = append(errs, field.Invalid(at, string(name), "must be a standard resource for quota"))
		}
		errs = append(errs, validateAmount(name, amounts[name], at)...)
	}
	return errs
}

// scopeResources are the standard resources that a scope can be applied to.
var scopeResources = func() map[corev1.ResourceQuotaScope]sets.Set[corev1.ResourceName] {
	count := sets.New(corev1.ResourcePods)
	all := count.Union(sets.New(corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory))
	return map[corev1.ResourceQuotaScope]sets.Set[corev1.ResourceName]{
		corev1.ResourceQuotaScopeTerminating: all, corev1.ResourceQuotaScopeNotTerminating: all,
		corev1.ResourceQuotaScopeBestEffort: count, corev1.ResourceQuotaScopeNotBestEffort: all,
		corev1.ResourceQuotaScopePriorityClass: all, corev1.ResourceQuotaScopeCrossNamespacePodAffinity: all,
		corev1.ResourceQuotaScopeVolumeAttributesClass: sets.New(corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage),
	}
}()

func validateScopes(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, scope := range spec.Scopes {
		fits, known := scopeResources[scope]
		if !known {
			errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope"))
		}
		errs = append(errs, validateScoped(spec, fits, known, spec.Scopes, path)...)
	}
	return append(errs, validateScopePairs(spec.Scopes, spec.Scopes, path)...)
}

// validateScoped complains of every limited resource that the scope does not
// fit.
func validateScoped(spec *corev1.ResourceQuotaSpec, fits sets.Set[corev1.ResourceName], known bool, shown any, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range byName(spec.Hard) {
		if known && isStandard(name) && !fits.Has(name) {
			errs = append(errs, field.Invalid(path, shown, "unsupported scope applied to resource"))
		}
	}
	return errs
}

func validateScopePairs(scopes []corev1.ResourceQuotaScope, shown any, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, pair := range [][2]corev1.ResourceQuotaScope{
		{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
		{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
	} {
		if slices.Contains(scopes, pair[0]) && slices.Contains(scopes, pair[1]) {
			errs = append(errs, field.Invalid(path, shown, "conflicting scopes"))
		}
	}
	return errs
}

func validateScopeSelector(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var scopes []corev1.ResourceQuotaScope
	for _, requirement := range spec.ScopeSelector.MatchExpressions {
		fits, known := scopeResources[requirement.ScopeName]
		if !known {
			errs = append(errs, field.Invalid(path.Child("scopeName"), requirement.ScopeName, "unsupported scope"))
		}
		errs = append(errs, validateScoped(spec, fits, known, spec.ScopeSelector, path)...)
		errs = append(errs, validateScopeOperator(requirement, path)...)
		scopes = append(scopes, requirement.ScopeName)
	}
	return append(errs, validateScopePairs(scopes, spec.Scopes, path)...)
}

func validateScopeOperator(requirement corev1.ScopedResourceSelectorRequirement, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	operator := requirement.Operator
	if requirement.ScopeName != corev1.ResourceQuotaScopePriorityClass && requirement.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass &&
		scopeResources[requirement.ScopeName] != nil && operator != corev1.ScopeSelectorOpExists {
		errs = append(errs, field.Invalid(path.Child("operator"), operator,
			"must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
	}
	switch operator {
	case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
		if len(requirement.Values) == 0 {
			errs = append(errs, field.Required(path.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
		}
	case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
		if len(requirement.Values) != 0 {
			errs = append(errs, field.Invalid(path.Child("values"), requirement.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
		}
	default:
		errs = append(errs, field.Invalid(path.Child("operator"), operator, "not a valid selector operator"))
	}
	return errs
}
