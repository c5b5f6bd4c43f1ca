package placement

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// explain counts the nodes by what is wrong with them. What follows says, in
// upstream's words, whether throwing another Pod out could help. We throw none
// out, so there are never victims.
func explain(pod *corev1.Pod, misfits []misfit) string {
	if len(misfits) == 0 {
		return "no nodes available to schedule pods"
	}
	reasons, preemption := map[string]int{}, map[string]int{}
	for _, misfit := range misfits {
		for _, reason := range misfit.reasons {
			reasons[reason]++
		}
		if misfit.forGood {
			preemption["Preemption is not helpful for scheduling"]++
		} else {
			preemption["No preemption victims found for incoming pod"]++
		}
	}
	after := histogram(len(misfits), preemption)
	if policy := pod.Spec.PreemptionPolicy; policy != nil && *policy == corev1.PreemptNever {
		after = "not eligible due to preemptionPolicy=Never."
	}
	return histogram(len(misfits), reasons) + " preemption: " + after
}

func histogram(nodes int, reasons map[string]int) string {
	var parts []string
	for reason, count := range reasons {
		parts = append(parts, fmt.Sprintf("%d %s", count, reason))
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}
