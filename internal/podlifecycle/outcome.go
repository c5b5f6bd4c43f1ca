package podlifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// outcome is what a Pod's containers have come to.
type outcome struct {
	// initFailed: an init container failed and gets no other start.
	initFailed bool
	// mainsEnded: every main container has ended and gets no other start;
	// succeeded: all of them with exit code 0.
	mainsEnded, succeeded bool
	// overdue: the Pod has been active for longer than it may.
	overdue bool
}

func (v *view) judge() outcome {
	o := outcome{mainsEnded: len(v.Pod.Spec.Containers) > 0, succeeded: true, overdue: v.overdue()}
	for i := range v.Pod.Spec.InitContainers {
		spec := &v.Pod.Spec.InitContainers[i]
		c := v.current(spec.Name)
		if c != nil && !isSidecar(spec) && c.State == Exited && c.ExitCode != 0 && !v.restarts(spec, c.ExitCode) {
			o.initFailed = true
		}
	}
	for i := range v.Pod.Spec.Containers {
		spec := &v.Pod.Spec.Containers[i]
		c := v.current(spec.Name)
		if c == nil || c.State != Exited || v.restarts(spec, c.ExitCode) {
			o.mainsEnded = false
		}
		if c == nil || c.State != Exited || c.ExitCode != 0 {
			o.succeeded = false
		}
	}
	return o
}

// finished tells whether the Pod is to run no more, for a reason other than
// its deletion.
func (v *view) finished() bool {
	return terminal(v.Pod.Status.Phase) || v.outcome.initFailed || v.outcome.mainsEnded || v.outcome.overdue
}

func terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// deadline is when the Pod's activeDeadlineSeconds end, zero for never.
func (v *view) deadline() time.Time {
	seconds, start := v.Pod.Spec.ActiveDeadlineSeconds, v.Pod.Status.StartTime
	if seconds == nil || start == nil {
		return time.Time{}
	}
	return start.Add(time.Duration(*seconds) * time.Second)
}

func (v *view) overdue() bool {
	deadline := v.deadline()
	return !deadline.IsZero() && !v.Now.Before(deadline)
}

func (v *view) watchDeadline() { v.wake(v.deadline()) }

// phase sums the containers up. A Pod is not shown as ended while any of its
// containers runs.
func (v *view) phase(status *corev1.PodStatus) corev1.PodPhase {
	ended := v.endedPhase(status)
	old := v.Pod.Status.Phase
	switch {
	case terminal(old):
		return old
	case ended == "":
		return v.livePhase(status)
	case len(v.alive()) > 0:
		if old == "" {
			return corev1.PodPending
		}
		return old
	default:
		return ended
	}
}

// endedPhase is Succeeded or Failed for a Pod that runs no more, or is not to.
func (v *view) endedPhase(status *corev1.PodStatus) corev1.PodPhase {
	stopped := v.Pod.DeletionTimestamp != nil && len(v.alive()) == 0 && v.allTerminated(status)
	switch {
	case v.outcome.overdue || v.outcome.initFailed:
		return corev1.PodFailed
	case v.outcome.mainsEnded || stopped:
		for _, c := range status.ContainerStatuses {
			if c.State.Terminated != nil && c.State.Terminated.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
		return corev1.PodSucceeded
	}
	return ""
}

func (v *view) allTerminated(status *corev1.PodStatus) bool {
	for _, c := range status.ContainerStatuses {
		if c.State.Terminated == nil {
			return false
		}
	}
	return len(status.ContainerStatuses) > 0
}

func (v *view) livePhase(status *corev1.PodStatus) corev1.PodPhase {
	waiting := 0
	for _, c := range status.ContainerStatuses {
		if c.State.Waiting != nil && c.LastTerminationState.Terminated == nil {
			waiting++
		}
	}
	if waiting > 0 || !v.initsDone() && !v.wasInitialized() {
		return corev1.PodPending
	}
	return corev1.PodRunning
}

// wasInitialized tells whether the init containers had done their part before
// the sandbox was lost.
func (v *view) wasInitialized() bool {
	for i := range v.Pod.Spec.Containers {
		if v.current(v.Pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}
