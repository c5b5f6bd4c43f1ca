package core

import corev1 "k8s.io/api/core/v1"

// PodWarnings says what is accepted in a Pod, but hardly meant.
func PodWarnings(pod *corev1.Pod) []string {
	var warnings []string
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil && *seconds < 0 {
		warnings = append(warnings, "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1")
	}
	return warnings
}
