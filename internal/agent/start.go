package agent

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"coxswain.dev/cox/internal/podlifecycle"
)

// Reasons why a container does not start.
const (
	reasonConfigError   = "CreateContainerConfigError"
	reasonCreateError   = "CreateContainerError"
	reasonRunError      = "RunContainerError"
	reasonPostStartHook = "PostStartHookError"
)

// startError says at which stage a start failed.
type startError struct {
	reason string
	// made is set when the container exists: then it restarts as any other.
	made bool
	err  error
}

func (e *startError) Error() string { return message(e.err) }
func (e *startError) Unwrap() error { return e.err }

const notFoundCode = codes.NotFound

func grpcCode(err error) codes.Code { return status.Code(err) }

// message is the runtime's own text, without the frame of the call.
func message(err error) string {
	if answer, ok := status.FromError(err); ok && answer.Code() != codes.OK {
		return answer.Message()
	}
	return err.Error()
}

// startContainer makes and starts a container and runs its postStart hook.
// ctx ends the hook early; what the runtime has begun is seen to its end.
func (w *worker) startContainer(ctx context.Context, pod *corev1.Pod, start podlifecycle.StartContainer) error {
	a := w.agent
	c := containerOf(pod, start.Container)
	if c == nil {
		return fmt.Errorf("the Pod has no container %q any more", start.Container)
	}
	event := func(kind, reason, text string) { a.event(pod, c.Name, kind, reason, text) }
	fail := func(reason string, made bool, err error) error {
		if w.ctx.Err() == nil {
			event(corev1.EventTypeWarning, "Failed", "Error: "+message(err))
		}
		return &startError{reason, made, err}
	}
	config, err := a.containerConfig(w.ctx, pod, c, start)
	if err != nil {
		return fail(reasonConfigError, false, err)
	}
	sandbox, err := a.sandboxConfig(pod, 0)
	if err != nil {
		return fail(reasonConfigError, false, err)
	}
	id, err := a.runtime.CreateContainer(w.ctx, start.SandboxID, config, sandbox)
	if err != nil {
		return fail(reasonCreateError, false, err)
	}
	event(corev1.EventTypeNormal, "Created", "Container created")
	w.mu.Lock()
	w.started[id] = true
	w.mu.Unlock()
	w.awaitGuard(ctx, pod)
	if err := a.runtime.StartContainer(w.ctx, id); err != nil {
		return fail(reasonRunError, true, err)
	}
	event(corev1.EventTypeNormal, "Started", "Container started")
	return w.postStart(ctx, pod, c, id)
}

// guardLimit bounds how long a container waits for NetworkPolicies.
const guardLimit = 2 * time.Second

// awaitGuard waits until what the container is about to send is judged: before
// that it would be lost, and sent again only after a second.
func (w *worker) awaitGuard(ctx context.Context, pod *corev1.Pod) {
	w.mu.Lock()
	status := w.status
	w.mu.Unlock()
	if w.agent.config.Guard == nil || pod.Spec.HostNetwork || status == nil {
		return
	}
	ip, err := netip.ParseAddr(status.PodIP)
	if err != nil {
		return // without an address there is nothing to wait for
	}
	ctx, cancel := context.WithTimeout(ctx, guardLimit)
	defer cancel()
	if err := w.agent.config.Guard.Judged(ctx, ip); err != nil {
		w.log.Warn("a container starts before NetworkPolicies are decided about for its Pod; until then its connections are lost", "error", err)
	}
}

// postStart runs the hook. If it fails, the container is killed.
func (w *worker) postStart(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id string) error {
	if c.Lifecycle == nil || c.Lifecycle.PostStart == nil {
		return nil
	}
	err := w.agent.runHook(ctx, pod, c, id, c.Lifecycle.PostStart)
	if err == nil {
		return nil
	}
	w.agent.event(pod, c.Name, corev1.EventTypeWarning, "FailedPostStartHook", fmt.Sprintf("PostStartHook failed: %v", err))
	kill := podlifecycle.KillContainer{Container: c.Name, ID: id, Grace: graceOf(pod), Reason: "FailedPostStartHook"}
	if killErr := w.killContainer(pod, kill); killErr != nil {
		w.log.Warn("a container whose postStart hook failed was not stopped", "container", c.Name, "error", killErr)
	}
	return &startError{reasonPostStartHook, true, fmt.Errorf("PostStartHook failed: %w", err)}
}
