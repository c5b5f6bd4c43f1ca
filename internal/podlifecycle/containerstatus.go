package podlifecycle

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// containerStatus is the status of one container.
func (v *view) containerStatus(spec *corev1.Container, published []corev1.ContainerStatus) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: spec.Name, Image: spec.Image}
	c := v.current(spec.Name)
	if c == nil {
		v.describeAbsent(spec, &status)
	} else {
		v.describe(spec, c, &status)
	}
	started := v.started(spec, c)
	status.Started = &started
	status.Ready = v.ready(spec, c, started)
	v.addResources(spec, c, &status)
	return status
}

// describe fills in what the runtime shows.
func (v *view) describe(spec *corev1.Container, c *Container, status *corev1.ContainerStatus) {
	status.RestartCount = int32(c.RestartCount)
	if c.State == Exited || c.State != Created && !v.Underway[StartContainer{Container: spec.Name}.Key()] {
		// One whose start has not ended is not shown yet: it would count as
		// a restart if the start is cut off by the death of the agent.
		status.ContainerID = containerID(c.ID)
	}
	status.ImageID = c.ImageID
	if c.Image != "" {
		status.Image = c.Image
	}
	if previous := v.previous(spec.Name); previous != nil && previous.State == Exited {
		status.LastTerminationState.Terminated = terminated(previous)
	} else if old := v.published(spec.Name); old != nil && old.RestartCount == status.RestartCount {
		status.LastTerminationState = old.LastTerminationState
	}
	switch {
	case c.State != Exited && v.Underway[StartContainer{Container: spec.Name}.Key()]:
		// Kubernetes shows a container as running once postStart has ended.
		status.State.Waiting = v.notStarted()
	case c.State == Running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.StartedAt)}
	case c.State == Exited:
		status.State.Terminated = terminated(c)
		if waiting := v.waiting(spec, c); waiting != nil {
			status.LastTerminationState.Terminated = status.State.Terminated
			status.State = corev1.ContainerState{Waiting: waiting}
		}
	default:
		status.State.Waiting = v.notStarted()
	}
}

// describeAbsent is for a container that the runtime does not have.
func (v *view) describeAbsent(spec *corev1.Container, status *corev1.ContainerStatus) {
	old := v.published(spec.Name)
	if old != nil {
		status.RestartCount = old.RestartCount
		status.LastTerminationState = old.LastTerminationState
		if old.State.Terminated != nil && old.ContainerID != "" {
			// It was removed after it had ended.
			status.State, status.ContainerID, status.ImageID, status.Image = old.State, old.ContainerID, old.ImageID, old.Image
			return
		}
		if old.State.Running != nil {
			status.LastTerminationState.Terminated = lost(old, "The container could not be located when the pod was deleted.  The container used to be Running")
		}
		if old.ContainerID != "" {
			status.RestartCount++ // of the next one; this is done once, as the ID is not shown any more
		}
	}
	if (v.Pod.DeletionTimestamp != nil || v.finished()) && len(v.alive()) == 0 && !v.starting() {
		if v.isInit(spec.Name) && !v.outcome.initFailed || !v.isInit(spec.Name) {
			status.State.Terminated = lost(old, "The container could not be located when the pod was terminated")
			return
		}
	}
	status.State.Waiting = v.notStarted()
	if waiting := v.waiting(spec, nil); waiting != nil {
		status.State.Waiting = waiting
	}
}

// lost is the end of a container that nobody saw.
func lost(old *corev1.ContainerStatus, message string) *corev1.ContainerStateTerminated {
	state := &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", Message: message, ExitCode: 137}
	if old != nil {
		state.ContainerID = old.ContainerID
	}
	return state
}

func (v *view) notStarted() *corev1.ContainerStateWaiting {
	if len(v.Pod.Spec.InitContainers) > 0 {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

// waiting is why a container that is to be started does not run, nil if there
// is nothing to tell.
func (v *view) waiting(spec *corev1.Container, c *Container) *corev1.ContainerStateWaiting {
	if v.Pod.DeletionTimestamp != nil || v.finished() || c != nil && !v.wants(spec, c) {
		return nil
	}
	failure, failed := v.Failures[StartContainer{Container: spec.Name}.Key()]
	crashLoop := v.crashLoop(spec.Name)
	fresh := failed && v.Now.Before(failure.At.Add(shownFor))
	if fresh {
		v.wake(failure.At.Add(shownFor))
	}
	switch {
	case failed && failure.Reason != "" && (fresh || crashLoop == nil):
		return &corev1.ContainerStateWaiting{Reason: failure.Reason, Message: failure.Message}
	case crashLoop != nil:
		return crashLoop
	}
	if image, known := v.Images[spec.Name]; known && image.Ref == "" && image.Reason != "" {
		return v.imageWaiting(spec, image)
	}
	return nil
}

// imageWaiting is the fresh error of a pull, and then the back-off it led to.
func (v *view) imageWaiting(spec *corev1.Container, image Image) *corev1.ContainerStateWaiting {
	pulled := image.Reason == "ErrImagePull" || image.Reason == "RegistryUnavailable" || image.Reason == "SignatureValidationFailed"
	if !pulled || v.Now.Before(image.At.Add(shownFor)) {
		return &corev1.ContainerStateWaiting{Reason: image.Reason, Message: image.Message}
	}
	v.event(spec.Name, corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", spec.Image))
	v.event(spec.Name, corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
	return &corev1.ContainerStateWaiting{
		Reason:  "ImagePullBackOff",
		Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", spec.Image, image.Reason, image.Message),
	}
}

func containerID(id string) string { return "containerd://" + id }

func terminated(c *Container) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{
		ExitCode:    c.ExitCode,
		Reason:      c.Reason,
		Message:     c.Message,
		StartedAt:   timeOrZero(c.StartedAt),
		FinishedAt:  timeOrZero(c.FinishedAt),
		ContainerID: containerID(c.ID),
	}
}

// timeOrZero shows a container that never ran as Kubernetes does: from 1970.
func timeOrZero(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Unix(0, 0)
	}
	return metav1.NewTime(t)
}

// started tells whether a container has begun its work: its startup probe, if
// it has one, has succeeded.
func (v *view) started(spec *corev1.Container, c *Container) bool {
	if c == nil || c.State != Running || v.Underway[StartContainer{Container: spec.Name}.Key()] {
		return false
	}
	if spec.StartupProbe == nil {
		return true
	}
	switch v.Probes[c.ID].Startup {
	case ProbeSucceeded:
		return true
	case ProbeFailed:
		return false
	}
	old := v.published(spec.Name)
	return old != nil && old.ContainerID == containerID(c.ID) && old.Started != nil && *old.Started
}

// ready tells whether a container may get requests. What a restarted agent has
// not probed yet is as it was published.
func (v *view) ready(spec *corev1.Container, c *Container, started bool) bool {
	if v.isInit(spec.Name) && !isSidecar(spec) {
		return c != nil && c.State == Exited && c.ExitCode == 0
	}
	if !started {
		return false
	}
	if spec.ReadinessProbe == nil {
		return true
	}
	if result := v.Probes[c.ID].Readiness; result != ProbeUnknown {
		return result == ProbeSucceeded
	}
	old := v.published(spec.Name)
	return old != nil && old.ContainerID == containerID(c.ID) && old.Ready
}

// addResources fills in what the container was given, and what it mounts.
func (v *view) addResources(spec *corev1.Container, c *Container, status *corev1.ContainerStatus) {
	if c == nil || c.State != Running {
		return
	}
	if len(spec.Resources.Requests) > 0 {
		status.AllocatedResources = spec.Resources.Requests.DeepCopy()
	}
	status.Resources = spec.Resources.DeepCopy()
	status.User = c.User
	for _, mount := range spec.VolumeMounts {
		shown := corev1.VolumeMountStatus{Name: mount.Name, MountPath: mount.MountPath, ReadOnly: mount.ReadOnly}
		if mount.ReadOnly {
			recursive := corev1.RecursiveReadOnlyDisabled
			if mount.RecursiveReadOnly != nil {
				recursive = *mount.RecursiveReadOnly
			}
			shown.RecursiveReadOnly = &recursive
		}
		status.VolumeMounts = append(status.VolumeMounts, shown)
	}
}
