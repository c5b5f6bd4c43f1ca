package replicas

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// status counts the Pods. It keeps the time of a failure that goes on.
func status(s Snapshot, own, active []*corev1.Pod) Status {
	counted := Status{Replicas: int32(len(active)), ObservedGeneration: s.Set.Meta.Generation}
	template := labels.Set{}
	if s.Set.Template != nil {
		template = s.Set.Template.Labels
	}
	fullyLabeled := template.AsSelectorPreValidated()
	for _, pod := range active {
		if fullyLabeled.Matches(labels.Set(pod.Labels)) {
			counted.FullyLabeledReplicas++
		}
		if since, ready := readySince(pod); ready {
			counted.ReadyReplicas++
			if availableFrom(since, s.Set.MinReadySeconds).Compare(s.Now) <= 0 {
				counted.AvailableReplicas++
			}
		}
	}
	for _, pod := range own {
		if pod.DeletionTimestamp != nil && !hasEnded(pod) {
			counted.TerminatingReplicas++
		}
	}
	if s.Failed != nil {
		failure := *s.Failed
		if before := s.Set.Status.Failure; before != nil && before.Reason == failure.Reason {
			failure.Since = before.Since
		}
		counted.Failure = &failure
	}
	return counted
}

// readySince is when a Pod became ready, if it is.
func readySince(pod *corev1.Pod) (metav1.Time, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return condition.LastTransitionTime, true
		}
	}
	return metav1.Time{}, false
}

// availableFrom is when a Pod that is ready since then becomes available.
func availableFrom(since metav1.Time, minReadySeconds int32) time.Time {
	if minReadySeconds <= 0 {
		return time.Time{}
	}
	return since.Add(time.Duration(minReadySeconds) * time.Second)
}

// nextAvailable is the next time at which a Pod becomes available only because
// time passes; zero if there is none.
func nextAvailable(active []*corev1.Pod, minReadySeconds int32, now time.Time) time.Time {
	var next time.Time
	for _, pod := range active {
		since, ready := readySince(pod)
		if !ready {
			continue
		}
		if at := availableFrom(since, minReadySeconds); at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
