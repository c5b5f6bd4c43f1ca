package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// targetTimeout is how long a Pod may be told to be a DisruptionTarget before
// it is marked for deletion.
const targetTimeout = 2 * time.Minute

// TargetUntil is when the condition DisruptionTarget of a Pod is to be taken
// back, since nobody has deleted the Pod; there is nothing to take back if it is
// not held. What a node says stands: it may take as long as it wants.
func TargetUntil(pod *corev1.Pod) (at time.Time, held bool) {
	if HasEnded(pod) {
		return time.Time{}, false
	}
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason != corev1.PodReasonTerminationByKubelet {
			return c.LastTransitionTime.Add(targetTimeout), true
		}
	}
	return time.Time{}, false
}

// ReleaseTarget takes the condition back.
func ReleaseTarget(pod *corev1.Pod, now time.Time) {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.DisruptionTarget {
			pod.Status.Conditions[i] = corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(now), ObservedGeneration: pod.Generation,
			}
		}
	}
}
