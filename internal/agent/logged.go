package agent

import (
	"context"
	"slices"

	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// containersOf are the containers of a name that were started, the newest first.
func (w *worker) containersOf(name string) []podlifecycle.Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []podlifecycle.Container
	for _, c := range w.observed.containers {
		if c.Name == name && c.State != podlifecycle.Created {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b podlifecycle.Container) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all
}

// waits tells whether a container is shown as waiting for its next start.
func (w *worker) waits(name string) bool { return w.waitingReason(name) != "" }

// waitingReason is why a container is shown as waiting, empty if it is not.
func (w *worker) waitingReason(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == nil {
		return "ContainerCreating"
	}
	for _, list := range [...][]containerStatus{w.status.InitContainerStatuses, w.status.ContainerStatuses, w.status.EphemeralContainerStatuses} {
		for _, status := range list {
			if status.Name == name && status.State.Waiting != nil {
				return status.State.Waiting.Reason
			}
		}
	}
	return ""
}

// liveness tells a reader of logs whether a container still writes, from what
// the worker has observed. The runtime itself would fail for one that was
// removed while its last lines are being read.
type liveness struct {
	internalapi.RuntimeService
	worker *worker
}

// ContainerStatus has the state only.
func (l liveness) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_EXITED
	if l.worker != nil && l.worker.runs(id) {
		state = runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{Id: id, State: state}}, nil
}

// runs tells whether a container was running when last looked at.
func (w *worker) runs(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.observed.containers {
		if c.ID == id {
			return c.State == podlifecycle.Running
		}
	}
	return false
}
