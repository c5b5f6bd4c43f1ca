package placement

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Weights are upstream's defaults; each rule gives a node 0 to mostPoints.
const (
	mostPoints     = 100
	weightTaints   = 3
	weightAffinity = 2
	weightTogether = 2
	weightFree     = 1
	// podsWeight lets the number of Pods decide only between equal scores:
	// most Pods ask for nothing.
	podsWeight = 1 << 20
)

// best is the node with the highest score; of equal ones the one with fewer
// Pods, then the first by name.
func best(s Snapshot, request Used, fitting []Node) string {
	taints, affinity, together := make([]int64, len(fitting)), make([]int64, len(fitting)), preferredNeighbours(s, fitting)
	preferred := preferredAffinity(s.Pod)
	for i, node := range fitting {
		taints[i] = -discouraging(s.Pod, node.Node)
		if preferred != nil {
			affinity[i] = preferred.Score(node.Node)
		}
	}
	normalize(taints)
	normalize(affinity)
	normalize(together)
	chosen, highest := 0, int64(0)
	for i, node := range fitting {
		points := weightTaints*taints[i] + weightAffinity*affinity[i] + weightTogether*together[i] + weightFree*free(node, request)
		if score := points*podsWeight - node.Used.Pods; i == 0 || score > highest {
			chosen, highest = i, score
		}
	}
	return fitting[chosen].Name
}

// normalize stretches what a rule gave to 0 … mostPoints; all equal gives 0.
func normalize(points []int64) {
	least, most := points[0], points[0]
	for _, p := range points {
		least, most = min(least, p), max(most, p)
	}
	for i := range points {
		if most == least {
			points[i] = 0
			continue
		}
		points[i] = mostPoints * (points[i] - least) / (most - least)
	}
}

// discouraging counts the PreferNoSchedule taints that the Pod does not bear.
func discouraging(pod *corev1.Pod, node *corev1.Node) int64 {
	count := int64(0)
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectPreferNoSchedule && !tolerates(pod, taint) {
			count++
		}
	}
	return count
}

// preferredAffinity is nil if the Pod has none, or none that makes sense.
func preferredAffinity(pod *corev1.Pod) *nodeaffinity.PreferredSchedulingTerms {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return nil
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return nil
	}
	return terms
}

// free is how much of CPU and memory stays free, on average.
func free(node Node, request Used) int64 {
	share := func(used, capacity int64) int64 {
		if capacity <= 0 || used > capacity {
			return 0
		}
		return mostPoints * (capacity - used) / capacity
	}
	return (share(node.Used.MilliCPU+request.MilliCPU, node.Status.Allocatable.Cpu().MilliValue()) +
		share(node.Used.Memory+request.Memory, node.Status.Allocatable.Memory().Value())) / 2
}
