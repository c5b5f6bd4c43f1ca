package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateLimitRange checks a LimitRange beyond its metadata: its bounds and
// defaults must leave room for each other.
func ValidateLimitRange(limits *corev1.LimitRange) field.ErrorList {
	path := field.NewPath("spec", "limits")
	var errs field.ErrorList
	seen := sets.New[corev1.LimitType]()
	for i := range limits.Spec.Limits {
		limit, at := &limits.Spec.Limits[i], path.Index(i)
		errs = append(errs, validateLimitType(limit.Type, at.Child("type"))...)
		if seen.Has(limit.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), limit.Type))
		}
		seen.Insert(limit.Type)
		if limit.Type == corev1.LimitTypePod {
			const message = "may not be specified when `type` is 'Pod'"
			if len(limit.Default) > 0 {
				errs = append(errs, field.Forbidden(at.Child("default"), message))
			}
			if len(limit.DefaultRequest) > 0 {
				errs = append(errs, field.Forbidden(at.Child("defaultRequest"), message))
			}
		}
		if limit.Type == corev1.LimitTypePersistentVolumeClaim && len(limit.Min) == 0 && len(limit.Max) == 0 {
			errs = append(errs, field.Required(at.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
		errs = append(errs, validateLimitItem(limit, at)...)
	}
	return errs
}

func validateLimitType(kind corev1.LimitType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsQualifiedName(string(kind)) {
		errs = append(errs, field.Invalid(path, kind, message))
	}
	if len(errs) > 0 || strings.Contains(string(kind), "/") {
		return errs
	}
	switch kind {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	return field.ErrorList{field.Invalid(path, kind, "must be a standard limit type or fully qualified")}
}

// validateLimitItem compares every resource's bounds and defaults.
func validateLimitItem(limit *corev1.LimitRangeItem, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	all := corev1.ResourceList{}
	for _, part := range []struct {
		name    string
		amounts corev1.ResourceList
	}{{"max", limit.Max}, {"min", limit.Min}, {"default", limit.Default}, {"defaultRequest", limit.DefaultRequest}, {"maxLimitRequestRatio", limit.MaxLimitRequestRatio}} {
		for _, name := range sortedNames(part.amounts) {
			if limit.Type == corev1.LimitTypeContainer || limit.Type == corev1.LimitTypePod {
				errs = append(errs, validateResourceName(name, at.Child(part.name).Key(string(name)))...)
			}
			all[name] = part.amounts[name]
		}
	}
	for _, name := range sortedNames(all) {
		least, hasLeast := limit.Min[name]
		most, hasMost := limit.Max[name]
		request, hasRequest := limit.DefaultRequest[name]
		preset, hasPreset := limit.Default[name]
		ratio, hasRatio := limit.MaxLimitRequestRatio[name]
		// above complains if a is more than b, both given.
		above := func(both bool, a, b, shown resource.Quantity, part, format string) {
			if both && a.Cmp(b) > 0 {
				errs = append(errs, field.Invalid(at.Child(part).Key(string(name)), shown, fmt.Sprintf(format, a.String(), b.String())))
			}
		}
		above(hasLeast && hasMost, least, most, least, "min", "min value %s is greater than max value %s")
		above(hasRequest && hasLeast, least, request, request, "defaultRequest", "min value %s is greater than default request value %s")
		above(hasRequest && hasMost, request, most, request, "defaultRequest", "default request value %s is greater than max value %s")
		above(hasRequest && hasPreset, request, preset, request, "defaultRequest", "default request value %s is greater than default limit value %s")
		above(hasPreset && hasLeast, least, preset, least, "default", "min value %s is greater than default value %s")
		above(hasPreset && hasMost, preset, most, most, "default", "default value %s is greater than max value %s")
		if one := resource.MustParse("1"); hasRatio && ratio.Cmp(one) < 0 {
			errs = append(errs, field.Invalid(at.Child("maxLimitRequestRatio").Key(string(name)), ratio, fmt.Sprintf("ratio %s is less than 1", ratio.String())))
		}
	}
	return errs
}
