package placement

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// conditionTaints are the taints that upstream's node controller puts on a
// node for its conditions. We read the conditions themselves: there is no time
// between the two.
var conditionTaints = []struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	taint     string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// taintsOf are a node's taints and those that its conditions make. A node that
// has not said whether it is ready is not.
func taintsOf(node *corev1.Node) []corev1.Taint {
	status := map[corev1.NodeConditionType]corev1.ConditionStatus{corev1.NodeReady: corev1.ConditionFalse}
	for _, condition := range node.Status.Conditions {
		status[condition.Type] = condition.Status
	}
	taints := slices.Clip(node.Spec.Taints)
	for _, rule := range conditionTaints {
		if status[rule.condition] == rule.status {
			taints = append(taints, corev1.Taint{Key: rule.taint, Effect: corev1.TaintEffectNoSchedule})
		}
	}
	return taints
}

// keepsOut tells whether a taint forbids, and does not only discourage.
func keepsOut(taint corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
}

func tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(toleration corev1.Toleration) bool {
		sameEffect := toleration.Effect == "" || toleration.Effect == taint.Effect
		sameKey := toleration.Key == "" || toleration.Key == taint.Key
		return sameEffect && sameKey && toleratesValue(toleration, taint.Value)
	})
}

func toleratesValue(toleration corev1.Toleration, value string) bool {
	switch toleration.Operator {
	case "", corev1.TolerationOpEqual:
		return toleration.Value == value
	case corev1.TolerationOpExists:
		return true
	case corev1.TolerationOpLt, corev1.TolerationOpGt:
		limit, badLimit := strconv.ParseInt(toleration.Value, 10, 64)
		number, badNumber := strconv.ParseInt(value, 10, 64)
		if badLimit != nil || badNumber != nil {
			return false
		}
		if toleration.Operator == corev1.TolerationOpLt {
			return number < limit
		}
		return number > limit
	default:
		return false
	}
}
