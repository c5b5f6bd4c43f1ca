package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/agent/probes"
	"coxswain.dev/cox/internal/podlifecycle"
)

// graceOf is how long the Pod's containers may take to end. A negative time,
// which the API accepts with a warning, means a second.
func graceOf(pod *corev1.Pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	if seconds < 0 {
		seconds = 1
	}
	return time.Duration(seconds) * time.Second
}

// minStop is what a container gets after SIGTERM even if its preStop hook took
// all the time.
const minStop = 2 * time.Second

// killContainer runs the preStop hook, then has the runtime stop the
// container: its stop signal, the rest of the grace period, SIGKILL.
func (w *worker) killContainer(pod *corev1.Pod, kill podlifecycle.KillContainer) error {
	a := w.agent
	a.event(pod, kill.Container, corev1.EventTypeNormal, "Killing", kill.Reason)
	rest := kill.Grace
	c := containerOf(pod, kill.Container)
	if c != nil && c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
		began := time.Now()
		ctx, cancel := context.WithTimeout(w.ctx, kill.Grace)
		err := a.runHook(ctx, pod, c, kill.ID, c.Lifecycle.PreStop)
		cancel()
		if err != nil && w.ctx.Err() == nil {
			a.event(pod, c.Name, corev1.EventTypeWarning, "FailedPreStopHook", fmt.Sprintf("PreStopHook failed: %v", err))
		}
		rest = max(rest-time.Since(began), min(kill.Grace, minStop))
	}
	return ignoreNotFound(a.runtime.StopContainer(w.ctx, kill.ID, wholeSeconds(rest)))
}

// wholeSeconds rounds up: a container is not told a second less.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// hookTimeout bounds a hook that runs while nothing else does.
const hookTimeout = 10 * time.Minute

// runHook runs a lifecycle hook to its end.
func (a *Agent) runHook(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id string, hook *corev1.LifecycleHandler) error {
	switch {
	case hook.Exec != nil:
		return a.execHook(ctx, id, hook.Exec.Command)
	case hook.HTTPGet != nil:
		return httpHook(ctx, pod, c, hook.HTTPGet)
	case hook.Sleep != nil:
		timer := time.NewTimer(time.Duration(hook.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the hook has no action")
}

func (a *Agent) execHook(ctx context.Context, id string, command []string) error {
	timeout := hookTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	stdout, stderr, err := a.runtime.ExecSync(ctx, id, command, timeout)
	if err != nil {
		return fmt.Errorf("command %q: %w: %s%s", command, err, stdout, stderr)
	}
	return nil
}

func httpHook(ctx context.Context, pod *corev1.Pod, c *corev1.Container, action *corev1.HTTPGetAction) error {
	request, err := probes.HTTPRequest(ctx, c, pod.Status.PodIP, action)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-lifecycle/1.37")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the hook answered %s", answer.Status)
	}
	return nil
}
