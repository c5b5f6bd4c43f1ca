package agent

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// forgive takes containers whose start was cut off for such as were only
// created. When an agent is killed, the runtime gives up what it had asked for,
// and leaves a container that has failed without ever having run. That is no
// failure of the container: it is neither counted nor does it delay the next
// start; it keeps FinishedAt. What this agent has started itself, or what is known to have failed,
// is not forgiven. The caller holds the lock.
func (w *worker) forgive(containers []podlifecycle.Container) {
	for i := range containers {
		c := &containers[i]
		if c.State == podlifecycle.Exited && c.StartedAt.IsZero() && !w.started[c.ID] && !isPublished(w.pod, c.ID) {
			c.State = podlifecycle.Created
		}
	}
}

// isPublished tells whether the Pod's status in the API names a container.
func isPublished(pod *corev1.Pod, id string) bool {
	status := &pod.Status
	for _, list := range [][]corev1.ContainerStatus{status.ContainerStatuses, status.InitContainerStatuses, status.EphemeralContainerStatuses} {
		for _, c := range list {
			last := c.LastTerminationState.Terminated
			if strings.HasSuffix(c.ContainerID, "/"+id) || last != nil && strings.HasSuffix(last.ContainerID, "/"+id) {
				return true
			}
		}
	}
	return false
}
