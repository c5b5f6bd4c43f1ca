package placement

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// neighbours are the required rules about which Pods may be together.
// (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity)
type neighbours struct {
	// near are the topology keys of the Pod's affinity, and around the parts
	// that have a Pod which keeps all of its terms.
	near   []string
	around map[domain]bool
	// first says that there is no such Pod anywhere, and this one keeps its
	// own terms: one must be the first.
	first bool
	// avoided are the parts with Pods that this one keeps away from, and
	// guarded those with Pods that keep this one away.
	avoided, guarded map[domain]bool
}

// term is an affinity term of one Pod.
type term struct {
	corev1.PodAffinityTerm
	selector labels.Selector
	of       *corev1.Pod
}

func termsOf(of *corev1.Pod, affinityTerms []corev1.PodAffinityTerm) []term {
	var terms []term
	for _, t := range affinityTerms {
		terms = append(terms, term{t, selectorOf(t.LabelSelector, of, t.MatchLabelKeys, t.MismatchLabelKeys), of})
	}
	return terms
}

// matches tells whether a term speaks of a Pod.
func (t term) matches(pod *corev1.Pod, namespaces map[string]labels.Set) bool {
	if !t.selector.Matches(labels.Set(pod.Labels)) {
		return false
	}
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		return pod.Namespace == t.of.Namespace
	}
	return slices.Contains(t.Namespaces, pod.Namespace) ||
		t.NamespaceSelector != nil && selectorOf(t.NamespaceSelector, t.of, nil, nil).Matches(namespaces[pod.Namespace])
}

func requiredAffinity(pod *corev1.Pod) []term {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.PodAffinity == nil {
		return nil
	}
	return termsOf(pod, pod.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
}

func requiredAntiAffinity(pod *corev1.Pod) []term {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.PodAntiAffinity == nil {
		return nil
	}
	return termsOf(pod, pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
}

func newNeighbours(s Snapshot, nodes map[string]*corev1.Node) neighbours {
	n := neighbours{around: map[domain]bool{}, avoided: map[domain]bool{}, guarded: map[domain]bool{}}
	affinity, antiAffinity := requiredAffinity(s.Pod), requiredAntiAffinity(s.Pod)
	keepsAll := func(pod *corev1.Pod) bool {
		return !slices.ContainsFunc(affinity, func(t term) bool { return !t.matches(pod, s.Namespaces) })
	}
	for _, t := range affinity {
		n.near = append(n.near, t.TopologyKey)
	}
	for _, placed := range s.Placed {
		node := nodes[placed.Node]
		if len(affinity) > 0 && keepsAll(placed.Pod) {
			mark(n.around, node, n.near...)
		}
		for _, t := range antiAffinity {
			if t.matches(placed.Pod, s.Namespaces) {
				mark(n.avoided, node, t.TopologyKey)
			}
		}
		for _, t := range requiredAntiAffinity(placed.Pod) {
			if t.matches(s.Pod, s.Namespaces) {
				mark(n.guarded, node, t.TopologyKey)
			}
		}
	}
	n.first = len(n.around) == 0 && keepsAll(s.Pod)
	return n
}

// mark notes the parts that a node is in.
func mark(parts map[domain]bool, node *corev1.Node, keys ...string) {
	for _, key := range keys {
		if part, ok := domainOf(node, key); ok {
			parts[part] = true
		}
	}
}

func (n neighbours) misfit(node *corev1.Node) misfit {
	for _, key := range n.near {
		if part, ok := domainOf(node, key); !ok || !n.first && !n.around[part] {
			return forGood("node(s) didn't match pod affinity rules")
		}
	}
	if isIn(n.avoided, node) {
		return forNow("node(s) didn't match pod anti-affinity rules")
	}
	if isIn(n.guarded, node) {
		return forNow("node(s) didn't satisfy existing pods anti-affinity rules")
	}
	return misfit{}
}

// isIn tells whether a node is in one of the parts.
func isIn(parts map[domain]bool, node *corev1.Node) bool {
	for part := range parts {
		if value, ok := node.Labels[part.key]; ok && value == part.value {
			return true
		}
	}
	return false
}
