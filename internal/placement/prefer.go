package placement

import corev1 "k8s.io/api/core/v1"

// preferredNeighbours weighs the Pods in each node's parts: those that this
// one would like to be with, would rather not, or would spread from.
func preferredNeighbours(s Snapshot, fitting []Node) []int64 {
	points := make([]int64, len(fitting))
	weights := map[domain]int64{}
	nodes := map[string]*corev1.Node{}
	for _, node := range s.Nodes {
		nodes[node.Name] = node.Node
	}
	for _, wish := range wishesOf(s.Pod) {
		for _, placed := range s.Placed {
			if part, ok := domainOf(nodes[placed.Node], wish.term.TopologyKey); ok && wish.term.matches(placed.Pod, s.Namespaces) {
				weights[part] += wish.weight
			}
		}
	}
	for i, node := range fitting {
		for part, weight := range weights {
			if at, ok := domainOf(node.Node, part.key); ok && at == part {
				points[i] += weight
			}
		}
	}
	return points
}

// wish is a preferred term; its weight is below 0 to keep away.
type wish struct {
	term   term
	weight int64
}

func wishesOf(pod *corev1.Pod) []wish {
	var wishes []wish
	add := func(weighted []corev1.WeightedPodAffinityTerm, sign int64) {
		for _, w := range weighted {
			wishes = append(wishes, wish{termsOf(pod, []corev1.PodAffinityTerm{w.PodAffinityTerm})[0], sign * int64(w.Weight)})
		}
	}
	if affinity := pod.Spec.Affinity; affinity != nil && affinity.PodAffinity != nil {
		add(affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1)
	}
	if affinity := pod.Spec.Affinity; affinity != nil && affinity.PodAntiAffinity != nil {
		add(affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			selector := selectorOf(c.LabelSelector, pod, c.MatchLabelKeys, nil)
			wishes = append(wishes, wish{term{corev1.PodAffinityTerm{TopologyKey: c.TopologyKey}, selector, pod}, -1})
		}
	}
	return wishes
}
