package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// computeQuotaNames are what a quota limits of Pods, beside their number.
var computeQuotaNames = sets.New(
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
)

// countQuotaNames are numbers of objects, by their older names.
var countQuotaNames = sets.New(
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
	corev1.ResourceSecrets, corev1.ResourcePersistentVolumeClaims, corev1.ResourceConfigMaps,
	corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
)

// ValidateResourceQuota checks a quota beyond its metadata.
func ValidateResourceQuota(quota *corev1.ResourceQuota) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateQuotaAmounts(quota.Spec.Hard, path.Child("hard"))
	errs = append(errs, validateScopes(&quota.Spec, path.Child("scopes"))...)
	return append(errs, validateScopeSelector(&quota.Spec, path.Child("scopeSelector", "matchExpressions"))...)
}

// ValidateResourceQuotaUpdate allows no other scopes.
func ValidateResourceQuotaUpdate(quota, old *corev1.ResourceQuota) field.ErrorList {
	errs := ValidateResourceQuota(quota)
	if !sets.New(quota.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "scopes"), quota.Spec.Scopes, apivalidation.FieldImmutableErrorMsg))
	}
	if !equality.Semantic.DeepEqual(quota.Spec.ScopeSelector, old.Spec.ScopeSelector) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "scopeSelector"), quota.Spec.ScopeSelector, apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateResourceQuotaStatusUpdate checks what is said to be used.
func ValidateResourceQuotaStatusUpdate(quota *corev1.ResourceQuota) field.ErrorList {
	path := field.NewPath("status")
	return append(validateQuotaAmounts(quota.Status.Hard, path.Child("hard")), validateQuotaAmounts(quota.Status.Used, path.Child("used"))...)
}

func validateQuotaAmounts(amounts corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range sortedNames(amounts) {
		at, amount := path.Key(string(name)), amounts[name]
		for _, message := range validation.IsQualifiedName(string(name)) {
			errs = append(errs, field.Invalid(at, name, message))
		}
		if !strings.Contains(string(name), "/") && !isQuotaName(name) {
			errs = append(errs, field.Invalid(at, name, "must be a standard resource for quota"))
		}
		errs = append(errs, validateAmount(name, amount, at)...)
	}
	return errs
}

func isQuotaName(name corev1.ResourceName) bool {
	return computeQuotaNames.Has(name) || countQuotaNames.Has(name) || name == corev1.ResourceRequestsStorage ||
		strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// validateAmount wants whole numbers where things are counted.
func validateAmount(name corev1.ResourceName, amount resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if amount.Sign() < 0 {
		errs = append(errs, field.Invalid(at, amount.String(), apivalidation.IsNegativeErrorMsg))
	}
	if countQuotaNames.Has(name) && amount.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(at, amount.String(), "must be an integer"))
	}
	return errs
}

var quotaScopes = sets.New(
	corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort,
	corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass,
)

// conflictingScopes cannot both hold of a Pod.
var conflictingScopes = [][2]corev1.ResourceQuotaScope{
	{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
	{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
}

func validateScopes(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	all := sets.New(spec.Scopes...)
	for _, scope := range spec.Scopes {
		if !quotaScopes.Has(scope) {
			errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope"))
		}
		for _, name := range sortedNames(spec.Hard) {
			if isQuotaName(name) && !scopeLimits(scope, name) {
				errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope applied to resource"))
			}
		}
	}
	for _, pair := range conflictingScopes {
		if all.HasAll(pair[0], pair[1]) {
			errs = append(errs, field.Invalid(path, spec.Scopes, "conflicting scopes"))
		}
	}
	return errs
}

// scopeLimits tells whether a resource can be limited in a scope: that of Pods
// that ask for nothing knows only their number.
func scopeLimits(scope corev1.ResourceQuotaScope, name corev1.ResourceName) bool {
	switch scope {
	case corev1.ResourceQuotaScopeBestEffort:
		return name == corev1.ResourcePods
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
	default:
		return name == corev1.ResourcePods || computeQuotaNames.Has(name)
	}
}

func validateScopeSelector(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	if spec.ScopeSelector == nil {
		return nil
	}
	var errs field.ErrorList
	for _, selector := range spec.ScopeSelector.MatchExpressions {
		if !quotaScopes.Has(selector.ScopeName) {
			errs = append(errs, field.Invalid(path.Child("scopeName"), selector.ScopeName, "unsupported scope"))
		}
		for _, name := range sortedNames(spec.Hard) {
			if isQuotaName(name) && !scopeLimits(selector.ScopeName, name) {
				errs = append(errs, field.Invalid(path, spec.ScopeSelector, "unsupported scope applied to resource"))
			}
		}
		if selector.ScopeName != corev1.ResourceQuotaScopePriorityClass && selector.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass &&
			selector.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(path.Child("operator"), selector.Operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
		switch selector.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(selector.Values) == 0 {
				errs = append(errs, field.Required(path.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(selector.Values) != 0 {
				errs = append(errs, field.Invalid(path.Child("values"), selector.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(path.Child("operator"), selector.Operator, "not a valid selector operator"))
		}
	}
	return errs
}
