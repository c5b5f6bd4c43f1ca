package replicas

import (
	"strings"
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
			if at, known := availableFrom(since, s.Set.MinReadySeconds); known && !at.After(s.Now) && !awaitsRoute(pod) {
				counted.AvailableReplicas++
			}
		}
	}
	for _, pod := range own {
		if pod.DeletionTimestamp != nil && !hasEnded(pod) {
			counted.TerminatingReplicas++
		}
	}
	counted.Failure = failure(s.Failed, s.Set)
	return counted
}

// failure is the condition for what was refused. One that goes on keeps its
// time, and its message too if only the name of the refused Pod differs: that
// is new with every attempt, and each would be another write.
func failure(failed *Failure, set *Set) *Failure {
	before := set.Status.Failure
	if failed == nil || before == nil || before.Reason != failed.Reason {
		return failed
	}
	prefix := namePrefix(set)
	if maskNames(before.Message, prefix) == maskNames(failed.Message, prefix) {
		return before
	}
	return &Failure{Reason: failed.Reason, Message: failed.Message, Since: before.Since}
}

// maskNames takes the random part out of the names of a set's Pods.
func maskNames(message, prefix string) string {
	parts := strings.Split(message, prefix)
	for i, part := range parts {
		if i > 0 && len(part) >= RandomLength {
			parts[i] = part[RandomLength:]
		}
	}
	return strings.Join(parts, prefix)
}

// readySince is when a Pod became ready, if it is; zero if it is not.
func readySince(pod *corev1.Pod) (metav1.Time, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return condition.LastTransitionTime, true
		}
	}
	return metav1.Time{}, false
}

// RoutedCondition of a Pod that Services lead to tells whether they do by now.
// Its agent writes it; a Pod without it, as on any other node, waits for nobody.
const RoutedCondition corev1.PodConditionType = "coxswain.dev/routed"

// awaitsRoute tells whether a Pod is ready, but clients cannot reach it yet.
func awaitsRoute(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == RoutedCondition {
			return condition.Status == corev1.ConditionFalse
		}
	}
	return false
}

// availableFrom is when a Pod that is ready since then becomes available. It
// is not known if the Pod must be ready for a time and does not say since when.
func availableFrom(since metav1.Time, minReadySeconds int32) (at time.Time, known bool) {
	if minReadySeconds <= 0 {
		return time.Time{}, true
	}
	return since.Add(time.Duration(minReadySeconds) * time.Second), !since.IsZero()
}

// nextAvailable is the next time at which a Pod becomes available only because
// time passes; zero if there is none.
func nextAvailable(active []*corev1.Pod, minReadySeconds int32, now time.Time) time.Time {
	var next time.Time
	for _, pod := range active {
		since, _ := readySince(pod)
		if at, known := availableFrom(since, minReadySeconds); known && at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
