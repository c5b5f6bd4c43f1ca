package probes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// Runner runs one probe of one container until its context ends, or until
// nothing more can come of it.
type Runner struct {
	Kind  podlifecycle.ProbeKind
	Probe *corev1.Probe
	// StartedAt is when the container started.
	StartedAt time.Time
	Try       func(context.Context) Outcome
	// Report is called when the result changes; Unhealthy with the text of an
	// event, at every failure that counts.
	Report    func(podlifecycle.ProbeResult)
	Unhealthy func(message string)

	last      podlifecycle.ProbeResult // of the last try
	inRow     int32                    // tries with that result
	settled   podlifecycle.ProbeResult // after thresholds
	succeeded bool                     // ever
}

// Early tries begin after firstEarly, or firstEarlyExec for commands, which
// cost more, and each waits twice as long as the one before. Until settleTime
// has passed since the start, none of the failures counts.
const (
	firstEarly     = 10 * time.Millisecond
	firstEarlyExec = 80 * time.Millisecond
	settleTime     = time.Second
)

// Run probes. It returns when a startup probe has succeeded, when a startup or
// liveness probe has failed for good, and when ctx ends.
func (r *Runner) Run(ctx context.Context) {
	begin := r.StartedAt.Add(time.Duration(r.Probe.InitialDelaySeconds) * time.Second)
	if !sleep(ctx, time.Until(begin)) {
		return
	}
	period := time.Duration(max(r.Probe.PeriodSeconds, 1)) * time.Second
	found, over := false, false
	if settled := begin.Add(settleTime); r.early() && time.Now().Before(settled) {
		if found, over = r.attempt(ctx, false); !found {
			found, over = r.search(ctx, r.firstPause(), settled)
		}
	}
	for !over && ctx.Err() == nil {
		if !found {
			_, over = r.attempt(ctx, true)
		}
		due := time.Now().Add(period)
		if found = false; !over && r.early() {
			if found, over = r.search(ctx, settleTime, due); found {
				due = time.Now().Add(period)
			}
		}
		if over || !sleep(ctx, time.Until(due)) {
			return
		}
		found = false
	}
}

// early tells whether tries in between are of use.
func (r *Runner) early() bool {
	return r.Kind != podlifecycle.Liveness && !r.succeeded && r.Probe.SuccessThreshold <= 1
}

func (r *Runner) firstPause() time.Duration {
	if r.Probe.Exec != nil {
		return firstEarlyExec
	}
	return firstEarly
}

// search tries less and less often until there is a success, or until the time
// comes for a try that counts.
func (r *Runner) search(ctx context.Context, pause time.Duration, until time.Time) (found, over bool) {
	for ; ; pause *= 2 {
		if time.Until(until) <= pause {
			return false, !sleep(ctx, time.Until(until))
		}
		if !sleep(ctx, pause) {
			return false, true
		}
		if found, over = r.attempt(ctx, false); found || over {
			return found, over
		}
	}
}

// attempt makes a try. Its failure counts only if counted is set. It tells
// whether it succeeded, and whether probing is over.
func (r *Runner) attempt(ctx context.Context, counted bool) (success, over bool) {
	outcome := r.Try(ctx)
	switch {
	case ctx.Err() != nil:
		return false, true
	case outcome.Success:
		r.succeeded = true
		return true, r.count(podlifecycle.ProbeSucceeded)
	case !counted:
		return false, false
	case outcome.Err != nil:
		// The container's state is as unknown as before.
		r.Unhealthy(fmt.Sprintf("%s probe errored and resulted in unknown state: %v", r.Kind, outcome.Err))
		return false, false
	}
	r.Unhealthy(fmt.Sprintf("%s probe failed: %s", r.Kind, outcome.Output))
	return false, r.count(podlifecycle.ProbeFailed)
}

// count applies the thresholds. It tells whether probing is over.
func (r *Runner) count(result podlifecycle.ProbeResult) (over bool) {
	if r.last != result {
		r.last, r.inRow = result, 0
	}
	r.inRow++
	if result == podlifecycle.ProbeFailed && r.inRow < max(r.Probe.FailureThreshold, 1) ||
		result == podlifecycle.ProbeSucceeded && r.inRow < max(r.Probe.SuccessThreshold, 1) {
		return false
	}
	if r.settled != result {
		r.settled = result
		r.Report(result)
	}
	return r.Kind == podlifecycle.Startup || r.Kind == podlifecycle.Liveness && result == podlifecycle.ProbeFailed
}

// sleep waits unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
