package probes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// play runs a probe for a while of made-up time and tells what was reported
// when. succeeds says whether a try at that time succeeds.
func play(t *testing.T, kind podlifecycle.ProbeKind, probe corev1.Probe, while time.Duration, succeeds func(at time.Duration) bool) (report string, tries int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var lines []string
		note := func(text string) { lines = append(lines, fmt.Sprintf("%v %s", time.Since(began), text)) }
		runner := &Runner{
			Kind: kind, Probe: &probe, StartedAt: began,
			Try: func(context.Context) Outcome {
				tries++
				return Outcome{Success: succeeds(time.Since(began)), Output: "no"}
			},
			Report: func(result podlifecycle.ProbeResult) {
				note(map[podlifecycle.ProbeResult]string{podlifecycle.ProbeSucceeded: "succeeded", podlifecycle.ProbeFailed: "FAILED"}[result])
			},
			Unhealthy: note,
		}
		ctx, cancel := context.WithTimeout(t.Context(), while)
		defer cancel()
		runner.Run(ctx)
		report = strings.Join(lines, "\n")
	})
	return report, tries
}

func always(time.Duration) bool { return true }
func never(time.Duration) bool  { return false }

func after(begin time.Duration) func(time.Duration) bool {
	return func(at time.Duration) bool { return at >= begin }
}

func TestRun(t *testing.T) {
	ten := corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3, SuccessThreshold: 1}
	late := ten
	late.InitialDelaySeconds = 5
	for _, test := range []struct {
		name     string
		kind     podlifecycle.ProbeKind
		probe    corev1.Probe
		while    time.Duration
		succeeds func(time.Duration) bool
		want     string
	}{
		{"ready at once", podlifecycle.Readiness, ten, time.Minute, always, "0s succeeded"},
		{"ready as soon as the program listens", podlifecycle.Readiness, ten, time.Minute, after(25 * time.Millisecond), "30ms succeeded"},
		{"a slow program need not wait for a period", podlifecycle.Readiness, ten, 12 * time.Second, after(3500 * time.Millisecond),
			"1s Readiness probe failed: no\n4s succeeded"},
		{"never ready", podlifecycle.Readiness, ten, 25 * time.Second, never,
			"1s Readiness probe failed: no\n11s Readiness probe failed: no\n21s Readiness probe failed: no\n21s FAILED"},
		{"not before its delay", podlifecycle.Readiness, late, time.Minute, always, "5s succeeded"},
		{"one failure does not count", podlifecycle.Readiness, ten, 65 * time.Second,
			func(at time.Duration) bool { return at != 20*time.Second }, "0s succeeded\n20s Readiness probe failed: no"},
		{"ill and well again", podlifecycle.Readiness, ten, time.Minute,
			func(at time.Duration) bool { return at < time.Second || at > 35*time.Second },
			"0s succeeded\n10s Readiness probe failed: no\n20s Readiness probe failed: no\n30s Readiness probe failed: no\n30s FAILED\n40s succeeded"},
		{"liveness fails for good", podlifecycle.Liveness, ten, time.Hour, never,
			"0s Liveness probe failed: no\n10s Liveness probe failed: no\n20s Liveness probe failed: no\n20s FAILED"},
		{"startup ends with success", podlifecycle.Startup, ten, time.Hour, after(100 * time.Millisecond), "150ms succeeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := play(t, test.kind, test.probe, test.while, test.succeeds); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAReadyProgramIsProbedOnceAPeriod(t *testing.T) {
	if _, tries := play(t, podlifecycle.Readiness, corev1.Probe{PeriodSeconds: 10}, 95*time.Second, always); tries != 10 {
		t.Errorf("%d tries in 95 s", tries)
	}
}

func TestASuccessThresholdIsKept(t *testing.T) {
	probe := corev1.Probe{PeriodSeconds: 10, SuccessThreshold: 3, FailureThreshold: 1}
	if got, _ := play(t, podlifecycle.Readiness, probe, 25*time.Second, always); got != "20s succeeded" {
		t.Errorf("got %s", got)
	}
}
