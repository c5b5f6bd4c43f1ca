package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// observation is what the runtime has of a Pod.
type observation struct {
	sandboxes  []podlifecycle.Sandbox
	containers []podlifecycle.Container
}

// observe asks the runtime. What ended before does not change, and is taken
// from the last observation.
func (a *Agent) observe(ctx context.Context, uid types.UID, last observation) (observation, error) {
	labels := map[string]string{podUIDLabel: string(uid)}
	sandboxes, err := a.runtime.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{LabelSelector: labels})
	if err != nil {
		return last, fmt.Errorf("listing sandboxes of Pod %s: %w", uid, err)
	}
	containers, err := a.runtime.ListContainers(ctx, &runtimeapi.ContainerFilter{LabelSelector: labels})
	if err != nil {
		return last, fmt.Errorf("listing containers of Pod %s: %w", uid, err)
	}
	var now observation
	for _, sandbox := range sandboxes {
		seen, err := a.observeSandbox(ctx, sandbox, last)
		if err != nil {
			return last, err
		}
		now.sandboxes = append(now.sandboxes, seen)
	}
	for _, container := range containers {
		seen, found, err := a.observeContainer(ctx, container, last)
		if err != nil {
			return last, err
		}
		if found {
			now.containers = append(now.containers, seen)
		}
	}
	return now, nil
}

func (a *Agent) observeSandbox(ctx context.Context, listed *runtimeapi.PodSandbox, last observation) (podlifecycle.Sandbox, error) {
	seen := podlifecycle.Sandbox{
		ID:        listed.Id,
		Attempt:   listed.GetMetadata().GetAttempt(),
		CreatedAt: time.Unix(0, listed.CreatedAt),
		Ready:     listed.State == runtimeapi.PodSandboxState_SANDBOX_READY,
	}
	if !seen.Ready {
		return seen, nil
	}
	for _, known := range last.sandboxes {
		if known.ID == listed.Id && known.Ready {
			return known, nil // its addresses do not change
		}
	}
	answer, err := a.runtime.PodSandboxStatus(ctx, listed.Id, false)
	if err != nil {
		return seen, fmt.Errorf("looking at sandbox %s: %w", listed.Id, err)
	}
	if network := answer.Status.GetNetwork(); network.GetIp() != "" {
		seen.IPs = append(seen.IPs, network.Ip)
		for _, ip := range network.AdditionalIps {
			seen.IPs = append(seen.IPs, ip.Ip)
		}
	}
	return seen, nil
}

var containerStates = map[runtimeapi.ContainerState]podlifecycle.ContainerState{
	runtimeapi.ContainerState_CONTAINER_CREATED: podlifecycle.Created,
	runtimeapi.ContainerState_CONTAINER_RUNNING: podlifecycle.Running,
	runtimeapi.ContainerState_CONTAINER_EXITED:  podlifecycle.Exited,
	runtimeapi.ContainerState_CONTAINER_UNKNOWN: podlifecycle.Unknown,
}

// observeContainer looks at one container; found is false if it has gone since
// the list was made.
func (a *Agent) observeContainer(ctx context.Context, listed *runtimeapi.Container, last observation) (seen podlifecycle.Container, found bool, err error) {
	state := containerStates[listed.State]
	for _, known := range last.containers {
		if known.ID == listed.Id && known.State == state && state != podlifecycle.Created {
			return known, true, nil
		}
	}
	answer, err := a.runtime.ContainerStatus(ctx, listed.Id, false)
	if isNotFound(err) {
		return seen, false, nil
	}
	if err != nil {
		return seen, false, fmt.Errorf("looking at container %s: %w", listed.Id, err)
	}
	status := answer.Status
	seen = podlifecycle.Container{
		ID:         listed.Id,
		Name:       listed.Labels[containerNameLabel],
		SandboxID:  listed.PodSandboxId,
		State:      containerStates[status.State],
		CreatedAt:  instant(status.CreatedAt),
		StartedAt:  instant(status.StartedAt),
		FinishedAt: instant(status.FinishedAt),
		ExitCode:   status.ExitCode,
		Reason:     status.Reason,
		Message:    status.Message,
		Image:      status.GetImage().GetImage(),
		ImageID:    status.ImageRef,
		User:       userOf(status),
	}
	remember(&seen, status.Annotations)
	if seen.State == podlifecycle.Exited {
		a.addMessage(&seen, status)
	}
	return seen, true, nil
}

// instant is zero for what has not happened.
func instant(nanoseconds int64) time.Time {
	if nanoseconds <= 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

func userOf(status *runtimeapi.ContainerStatus) *corev1.ContainerUser {
	user := status.GetUser().GetLinux()
	if user == nil {
		return nil
	}
	return &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: user.Uid, GID: user.Gid, SupplementalGroups: user.SupplementalGroups}}
}

// The bounds of a termination message, in bytes and in lines of the log.
const (
	maxMessage      = 4 << 10
	maxMessageLog   = 2 << 10
	maxMessageLines = 80
)

// addMessage reads what a container left as its last words.
func (a *Agent) addMessage(c *podlifecycle.Container, status *runtimeapi.ContainerStatus) {
	path := status.Annotations[messagePathAnnotation]
	if path == "" || c.StartedAt.IsZero() {
		return
	}
	for _, mount := range status.Mounts {
		if mount.ContainerPath != path {
			continue
		}
		content, err := os.ReadFile(mount.HostPath)
		if err == nil && len(content) > 0 {
			c.Message = string(content[:min(len(content), maxMessage)])
			return
		}
	}
	failed := c.ExitCode != 0 || c.Reason == "OOMKilled"
	if failed && status.Annotations[messagePolicyAnnotation] == string(corev1.TerminationMessageFallbackToLogsOnError) {
		c.Message = logTail(status.LogPath)
	}
}

// messageFile is the file behind a container's termination message.
func (a *Agent) messageFile(pod *corev1.Pod, name string, attempt int) string {
	return filepath.Join(a.volumes.PodDir(pod.UID), "containers", name, strconv.Itoa(attempt))
}

// isNotFound tells whether the runtime does not know the object.
func isNotFound(err error) bool {
	return err != nil && (grpcCode(err) == notFoundCode || strings.Contains(err.Error(), "not found"))
}
