package core

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const notWhole = "must be an integer"

// byName walks a map in the order of its keys, so that errors come in the same
// order every time.
func byName[K cmp.Ordered, V any](all map[K]V) []K { return slices.Sorted(maps.Keys(all)) }

// ValidateResources checks the requests and limits of a container.
func ValidateResources(resources *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range byName(resources.Limits) {
		at := path.Child("limits").Key(string(name))
		errs = append(errs, validateContainerResource(name, at)...)
		errs = append(errs, validateAmount(name, resources.Limits[name], at)...)
	}
	for _, name := range byName(resources.Requests) {
		quantity := resources.Requests[name]
		at := path.Child("requests").Key(string(name))
		errs = append(errs, validateContainerResource(name, at)...)
		errs = append(errs, validateAmount(name, quantity, at)...)
		limit, limited := resources.Limits[name]
		switch {
		case !limited && !overcommits(name):
			errs = append(errs, field.Required(path.Child("limits"), "Limit must be set for non overcommitable resources"))
		case limited && quantity.Cmp(limit) != 0 && !overcommits(name):
			errs = append(errs, field.Invalid(path.Child("requests"), quantity.String(), "must be equal to "+string(name)+" limit of "+limit.String()))
		case limited && quantity.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(path.Child("requests"), quantity.String(), "must be less than or equal to "+string(name)+" limit of "+limit.String()))
		}
	}
	return errs
}

// validateAmount wants no less than nothing, and things that are counted whole.
func validateAmount(name corev1.ResourceName, quantity resource.Quantity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if quantity.Sign() < 0 {
		errs = append(errs, field.Invalid(path, quantity.String(), apivalidation.IsNegativeErrorMsg))
	}
	if isCounted(name) && quantity.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(path, quantity, notWhole))
	}
	return errs
}

// validateContainerResource checks the name of what a container asks for.
func validateContainerResource(name corev1.ResourceName, path *field.Path) field.ErrorList {
	errs := validateQualified(string(name), path)
	if len(errs) > 0 || strings.Contains(string(name), "/") {
		return errs
	}
	switch {
	case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage, isHugePages(name):
		return nil
	}
	return field.ErrorList{field.Invalid(path, name, "must be a standard resource for containers")}
}

func validateQualified(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsQualifiedName(name) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	return errs
}

// isCounted tells whether a resource comes in whole pieces: objects, and what
// devices give under names of their own.
func isCounted(name corev1.ResourceName) bool {
	return objectCounts[name] || isExtended(name)
}

func isExtended(name corev1.ResourceName) bool {
	return strings.Contains(string(name), "/") && !strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
}

// overcommits tells whether more of a resource may be promised than there is.
func overcommits(name corev1.ResourceName) bool { return !isExtended(name) && !isHugePages(name) }

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// objectCounts are the objects that a quota may count under a name of its own.
var objectCounts = map[corev1.ResourceName]bool{
	corev1.ResourcePods: true, corev1.ResourceServices: true, corev1.ResourceReplicationControllers: true, corev1.ResourceQuotas: true,
	corev1.ResourceSecrets: true, corev1.ResourceConfigMaps: true, corev1.ResourcePersistentVolumeClaims: true,
	corev1.ResourceServicesNodePorts: true, corev1.ResourceServicesLoadBalancers: true,
}

// standardAmounts are the other standard names.
var standardAmounts = map[corev1.ResourceName]bool{
	corev1.ResourceCPU: true, corev1.ResourceMemory: true, corev1.ResourceEphemeralStorage: true,
	corev1.ResourceRequestsCPU: true, corev1.ResourceRequestsMemory: true, corev1.ResourceRequestsEphemeralStorage: true,
	corev1.ResourceLimitsCPU: true, corev1.ResourceLimitsMemory: true, corev1.ResourceLimitsEphemeralStorage: true,
	corev1.ResourceStorage: true, corev1.ResourceRequestsStorage: true,
}

// validateResourceName checks a name that quotas and limits may use.
func validateResourceName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	errs := validateQualified(string(name), path)
	if len(errs) > 0 || strings.Contains(string(name), "/") || isStandard(name) {
		return errs
	}
	return field.ErrorList{field.Invalid(path, string(name), "must be a standard resource type or fully qualified")}
}

func isStandard(name corev1.ResourceName) bool {
	return objectCounts[name] || standardAmounts[name] || isHugePages(name) ||
		strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}
