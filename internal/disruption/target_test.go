package disruption_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/disruption"
)

func ptrTo(at time.Time) *metav1.Time { return &metav1.Time{Time: at} }

func TestADisruptionTargetThatStaysIsReleased(t *testing.T) {
	target := func(change func(*corev1.Pod)) *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue},
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "evicting", LastTransitionTime: metav1.NewTime(start)},
		}}}
		if change != nil {
			change(pod)
		}
		return pod
	}
	pod := target(nil)
	if until, held := disruption.TargetUntil(pod); !held || !until.Equal(start.Add(2*time.Minute)) {
		t.Errorf("held %v until %s", held, until)
	}
	disruption.ReleaseTarget(pod, start.Add(time.Hour))
	want := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(start.Add(time.Hour)), ObservedGeneration: 3}
	if pod.Status.Conditions[1] != want || pod.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("released: %+v", pod.Status.Conditions)
	}

	for name, change := range map[string]func(*corev1.Pod){
		"released":             func(p *corev1.Pod) { disruption.ReleaseTarget(p, start) },
		"being deleted":        func(p *corev1.Pod) { p.DeletionTimestamp = ptrTo(start) },
		"ended":                func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
		"told by its node":     func(p *corev1.Pod) { p.Status.Conditions[1].Reason = corev1.PodReasonTerminationByKubelet },
		"no target, never was": func(p *corev1.Pod) { p.Status.Conditions = p.Status.Conditions[:1] },
	} {
		if until, held := disruption.TargetUntil(target(change)); held || !until.IsZero() {
			t.Errorf("%s: held until %s", name, until)
		}
	}
}
