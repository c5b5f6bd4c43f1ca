package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	remote "k8s.io/cri-client/pkg"
	utilexec "k8s.io/utils/exec"

	"coxswain.dev/cox/internal/agent/probes"
	"coxswain.dev/cox/internal/podlifecycle"
)

// setProbes begins and ends probes so that just the wanted ones run. The
// caller holds the lock.
func (w *worker) setProbes(wanted []podlifecycle.Probe) {
	keep := map[podlifecycle.Probe]bool{}
	for _, probe := range wanted {
		keep[probe] = true
		if w.probes[probe] == nil {
			w.beginProbe(probe)
		}
	}
	for probe, end := range w.probes {
		if !keep[probe] {
			end()
			delete(w.probes, probe)
		}
	}
}

func (w *worker) stopProbes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setProbes(nil)
}

// beginProbe starts a probe; its end is the function it leaves in w.probes.
func (w *worker) beginProbe(probe podlifecycle.Probe) {
	pod := podWith(w.pod, *w.status)
	c := containerOf(pod, probe.Container)
	var spec *corev1.Probe
	switch probe.Kind {
	case podlifecycle.Startup:
		spec = c.StartupProbe
	case podlifecycle.Liveness:
		spec = c.LivenessProbe
	case podlifecycle.Readiness:
		spec = c.ReadinessProbe
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.probes[probe] = cancel
	target := w.target(pod, c, probe.ID)
	runner := &probes.Runner{
		Kind: probe.Kind, Probe: spec, StartedAt: w.startedAt(probe.ID),
		Try:    func(ctx context.Context) probes.Outcome { return target.Try(ctx, spec) },
		Report: func(result podlifecycle.ProbeResult) { w.probed(ctx, probe, result) },
		Unhealthy: func(text string) {
			w.agent.event(pod, c.Name, corev1.EventTypeWarning, "Unhealthy", text)
		},
	}
	w.agent.running.Go(func() { runner.Run(ctx) })
}

// startedAt is when a container started. The caller holds the lock.
func (w *worker) startedAt(id string) time.Time {
	for _, c := range w.observed.containers {
		if c.ID == id {
			return c.StartedAt
		}
	}
	return time.Now()
}

// runningContainer finds a running container by name; nil if there is none.
func (w *worker) runningContainer(name string) *podlifecycle.Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.observed.containers {
		if c := w.observed.containers[i]; c.Name == name && c.State == podlifecycle.Running {
			return &c
		}
	}
	return nil
}

// probed takes a result, unless the probe has been ended meanwhile.
func (w *worker) probed(ctx context.Context, probe podlifecycle.Probe, result podlifecycle.ProbeResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	results := w.results[probe.ID]
	switch probe.Kind {
	case podlifecycle.Startup:
		results.Startup = result
	case podlifecycle.Liveness:
		results.Liveness = result
	case podlifecycle.Readiness:
		results.Readiness = result
	}
	w.results[probe.ID] = results
	w.nudge()
}

func (w *worker) target(pod *corev1.Pod, c *corev1.Container, id string) probes.Target {
	return probes.Target{
		PodIP:     pod.Status.PodIP,
		Container: c,
		Exec: func(ctx context.Context, command []string, timeout time.Duration) (string, bool, error) {
			stdout, stderr, err := w.agent.runtime.ExecSync(ctx, id, command, timeout)
			output := string(append(stdout, stderr...))
			var exit utilexec.CodeExitError
			switch {
			case err == nil:
				return output, true, nil
			case errors.As(err, &exit):
				return output, false, nil
			case errors.Is(err, remote.ErrCommandTimedOut):
				return fmt.Sprintf("command timed out: %q timed out after %v", command, timeout), false, nil
			}
			return output, false, err
		},
	}
}
