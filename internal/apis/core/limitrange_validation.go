package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateLimitRange checks a defaulted LimitRange: its bounds must leave
// something between them, and its defaults must lie there.
func ValidateLimitRange(limits *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.LimitType]()
	for i := range limits.Spec.Limits {
		item, at := &limits.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, validateLimitType(item.Type, at.Child("type"))...)
		if seen.Has(item.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), item.Type))
		}
		seen.Insert(item.Type)
		errs = append(errs, validateLimitNames(item, at)...)
		for _, name := range sets.List(namesOf(item)) {
			errs = append(errs, validateBounds(item, name, at)...)
			errs = append(errs, validateRatio(item, name, at.Child("maxLimitRequestRatio").Key(string(name)))...)
		}
	}
	return errs
}

func validateLimitType(limit corev1.LimitType, path *field.Path) field.ErrorList {
	errs := validateQualified(string(limit), path)
	if len(errs) > 0 || strings.Contains(string(limit), "/") {
		return errs
	}
	switch limit {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	return field.ErrorList{field.Invalid(path, string(limit), "must be a standard limit type or fully qualified")}
}

func namesOf(item *corev1.LimitRangeItem) sets.Set[corev1.ResourceName] {
	names := sets.KeySet(item.Max).Union(sets.KeySet(item.Min)).Union(sets.KeySet(item.MaxLimitRequestRatio))
	if item.Type != corev1.LimitTypePod {
		names = names.Union(sets.KeySet(item.Default)).Union(sets.KeySet(item.DefaultRequest))
	}
	return names
}

func validateLimitNames(item *corev1.LimitRangeItem, path *field.Path) field.ErrorList {
	validate := validateResourceName
	if item.Type == corev1.LimitTypePod || item.Type == corev1.LimitTypeContainer {
		validate = validateContainerResource
	}
	var errs field.ErrorList
	for _, list := range []struct {
		name    string
		amounts corev1.ResourceList
		ofPods  bool
	}{{"max", item.Max, true}, {"min", item.Min, true}, {"default", item.Default, false}, {"defaultRequest", item.DefaultRequest, false},
		{"maxLimitRequestRatio", item.MaxLimitRequestRatio, true}} {
		if item.Type == corev1.LimitTypePod && !list.ofPods {
			if len(list.amounts) > 0 {
				errs = append(errs, field.Forbidden(path.Child(list.name), "may not be specified when `type` is 'Pod'"))
			}
			continue
		}
		for _, name := range byName(list.amounts) {
			errs = append(errs, validate(name, path.Child(list.name).Key(string(name)))...)
		}
	}
	if item.Type == corev1.LimitTypePersistentVolumeClaim {
		_, least := item.Min[corev1.ResourceStorage]
		if _, most := item.Max[corev1.ResourceStorage]; !least && !most {
			errs = append(errs, field.Required(path.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	return errs
}

// validateBounds wants min <= default request <= default <= max, as far as
// they are given.
func validateBounds(item *corev1.LimitRangeItem, name corev1.ResourceName, path *field.Path) field.ErrorList {
	least, most := amountOf(item.Min, name), amountOf(item.Max, name)
	var request, limit *resource.Quantity
	if item.Type != corev1.LimitTypePod {
		request, limit = amountOf(item.DefaultRequest, name), amountOf(item.Default, name)
	}
	var errs field.ErrorList
	ordered := func(child string, small, big, shown *resource.Quantity, smallName, bigName string) {
		if small != nil && big != nil && small.Cmp(*big) > 0 {
			errs = append(errs, field.Invalid(path.Child(child).Key(string(name)), *shown,
				fmt.Sprintf("%s value %s is greater than %s value %s", smallName, small, bigName, big)))
		}
	}
	ordered("min", least, most, least, "min", "max")
	ordered("defaultRequest", least, request, request, "min", "default request")
	ordered("defaultRequest", request, most, request, "default request", "max")
	ordered("defaultRequest", request, limit, request, "default request", "default limit")
	ordered("default", least, limit, least, "min", "default")
	ordered("default", limit, most, most, "default", "max")
	if !overcommits(name) && request != nil && limit != nil && limit.Cmp(*request) != 0 {
		errs = append(errs, field.Invalid(path.Child("defaultRequest").Key(string(name)), *request,
			fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", limit, request, name)))
	}
	return errs
}

func amountOf(amounts corev1.ResourceList, name corev1.ResourceName) *resource.Quantity {
	if quantity, given := amounts[name]; given {
		return &quantity
	}
	return nil
}

// validateRatio wants a ratio of at least 1 that the bounds leave room for.
func validateRatio(item *corev1.LimitRangeItem, name corev1.ResourceName, path *field.Path) field.ErrorList {
	ratio := amountOf(item.MaxLimitRequestRatio, name)
	if ratio == nil {
		return nil
	}
	var errs field.ErrorList
	if ratio.Cmp(resource.MustParse("1")) < 0 {
		errs = append(errs, field.Invalid(path, *ratio, fmt.Sprintf("ratio %s is less than 1", ratio)))
	}
	least, most := amountOf(item.Min, name), amountOf(item.Max, name)
	if least == nil || most == nil || least.IsZero() {
		return errs
	}
	if widest := most.AsApproximateFloat64() / least.AsApproximateFloat64(); ratio.AsApproximateFloat64() > widest {
		errs = append(errs, field.Invalid(path, *ratio, fmt.Sprintf("ratio %s is greater than max/min = %f", ratio, widest)))
	}
	return errs
}
