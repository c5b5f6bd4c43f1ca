package placement

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// domain is a part of the nodes: those with the same value of a label.
type domain struct{ key, value string }

// domainOf is the part that a node is in; false if it has no such label.
func domainOf(node *corev1.Node, key string) (domain, bool) {
	if node == nil {
		return domain{}, false
	}
	value, ok := node.Labels[key]
	return domain{key, value}, ok
}

// selectorOf reads a label selector; none, or one that makes no sense, matches
// nothing. Other Pods must have the Pod's own values of the labels in same, and
// not those in different.
func selectorOf(selector *metav1.LabelSelector, pod *corev1.Pod, same, different []string) labels.Selector {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || selector == nil {
		return labels.Nothing()
	}
	add := func(keys []string, operator selection.Operator) {
		for _, key := range keys {
			value, there := pod.Labels[key]
			if !there {
				continue
			}
			if requirement, err := labels.NewRequirement(key, operator, []string{value}); err == nil {
				parsed = parsed.Add(*requirement)
			}
		}
	}
	add(same, selection.In)
	add(different, selection.NotIn)
	return parsed
}

// NeedsPlaced tells whether the rules of a Pod speak of other Pods.
func NeedsPlaced(pod *corev1.Pod) bool {
	affinity := pod.Spec.Affinity
	return len(pod.Spec.TopologySpreadConstraints) > 0 || affinity != nil && (affinity.PodAffinity != nil || affinity.PodAntiAffinity != nil)
}

// Guards tells whether a Pod keeps others away, whatever they say themselves.
func Guards(pod *corev1.Pod) bool {
	affinity := pod.Spec.Affinity
	return affinity != nil && affinity.PodAntiAffinity != nil && len(affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0
}
