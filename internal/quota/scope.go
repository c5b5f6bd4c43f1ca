package quota

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Scopes returns all scopes of a quota, those of the older field as selectors.
func Scopes(spec *corev1.ResourceQuotaSpec) []corev1.ScopedResourceSelectorRequirement {
	var scopes []corev1.ScopedResourceSelectorRequirement
	for _, scope := range spec.Scopes {
		scopes = append(scopes, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists})
	}
	if spec.ScopeSelector != nil {
		scopes = append(scopes, spec.ScopeSelector.MatchExpressions...)
	}
	return scopes
}

// PodInScope tells whether a Pod is in a scope; class returns its quality of
// service.
func PodInScope(scope corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod, class func(*corev1.Pod) corev1.PodQOSClass) bool {
	switch scope.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return bounded(pod)
	case corev1.ResourceQuotaScopeNotTerminating:
		return !bounded(pod)
	case corev1.ResourceQuotaScopeBestEffort:
		return class(pod) == corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return class(pod) != corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		return selects(scope, pod.Spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(pod.Spec.Affinity)
	default:
		return false
	}
}

// bounded tells whether the Pod's life is: it has an active deadline.
func bounded(pod *corev1.Pod) bool {
	return pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0
}

func selects(scope corev1.ScopedResourceSelectorRequirement, value string) bool {
	switch scope.Operator {
	case corev1.ScopeSelectorOpExists:
		return value != ""
	case corev1.ScopeSelectorOpDoesNotExist:
		return value == ""
	case corev1.ScopeSelectorOpIn:
		return slices.Contains(scope.Values, value)
	case corev1.ScopeSelectorOpNotIn:
		return !slices.Contains(scope.Values, value)
	default:
		return false
	}
}

func crossesNamespaces(affinity *corev1.Affinity) bool {
	if affinity == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	if a := affinity.PodAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		terms = append(terms, termsOf(a.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	if a := affinity.PodAntiAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		terms = append(terms, termsOf(a.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	return slices.ContainsFunc(terms, func(term corev1.PodAffinityTerm) bool {
		return len(term.Namespaces) > 0 || term.NamespaceSelector != nil
	})
}

func termsOf(weighted []corev1.WeightedPodAffinityTerm) []corev1.PodAffinityTerm {
	var terms []corev1.PodAffinityTerm
	for _, term := range weighted {
		terms = append(terms, term.PodAffinityTerm)
	}
	return terms
}
