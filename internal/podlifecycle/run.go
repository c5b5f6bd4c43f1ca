package podlifecycle

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// run moves a Pod to where all its containers run.
func (v *view) run() {
	v.watchDeadline()
	if !v.VolumesReady && v.mayTry(PrepareVolumes{}) {
		v.do(PrepareVolumes{})
	}
	if v.sandbox == nil && !v.replaceSandbox() {
		return
	}
	v.killUnwanted()
	for _, container := range v.wanted() {
		if !v.start(container) {
			return
		}
	}
}

// replaceSandbox ends what runs in a sandbox that is no more, then makes a new
// one. It tells whether images may be fetched beside that.
func (v *view) replaceSandbox() bool {
	left := false
	for i := range v.Containers {
		if c := &v.Containers[i]; running(c) {
			left = true
			v.kill(KillContainer{Container: c.Name, ID: c.ID, Grace: v.grace(), Reason: "Pod sandbox changed, it will be killed and re-created."})
		}
	}
	if v.newest != nil {
		v.event("", corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
	}
	if left {
		return false
	}
	sandbox := MakeSandbox{}
	if v.newest != nil {
		sandbox.Attempt = v.newest.Attempt + 1
	}
	if v.mayTry(sandbox) {
		v.do(sandbox)
	}
	return true
}

// killUnwanted ends containers whose definition has changed, whose probes say
// that they are broken, or whose state the runtime has lost.
func (v *view) killUnwanted() {
	for _, spec := range v.specs() {
		c := v.current(spec.Name)
		if !running(c) {
			continue
		}
		if reason := v.reasonToKill(spec, c); reason != "" {
			v.kill(KillContainer{Container: spec.Name, ID: c.ID, Grace: v.probeGrace(spec, c), Reason: reason})
		}
	}
}

func (v *view) reasonToKill(spec *corev1.Container, c *Container) string {
	probes := v.Probes[c.ID]
	ending := ""
	if v.restarts(spec, -1) {
		ending = ", will be restarted"
	}
	switch {
	case c.State == Unknown:
		return fmt.Sprintf("Container %s is in unknown state, try killing it before restart", spec.Name)
	case !v.here(c):
		return "Pod sandbox changed, it will be killed and re-created."
	case c.Hash != "" && c.Hash != HashOf(spec) && !v.isInit(spec.Name):
		return fmt.Sprintf("Container %s definition changed, will be restarted", spec.Name)
	case probes.Startup == ProbeFailed:
		return fmt.Sprintf("Container %s failed startup probe%s", spec.Name, ending)
	case probes.Liveness == ProbeFailed:
		return fmt.Sprintf("Container %s failed liveness probe%s", spec.Name, ending)
	}
	return ""
}

// probeGrace is the grace period of a probe that failed, if it has its own.
func (v *view) probeGrace(spec *corev1.Container, c *Container) time.Duration {
	probe := spec.LivenessProbe
	if v.Probes[c.ID].Startup == ProbeFailed {
		probe = spec.StartupProbe
	}
	failed := v.Probes[c.ID].Startup == ProbeFailed || v.Probes[c.ID].Liveness == ProbeFailed
	if failed && probe != nil && probe.TerminationGracePeriodSeconds != nil {
		return time.Duration(*probe.TerminationGracePeriodSeconds) * time.Second
	}
	return v.grace()
}

// start gives what a container needs next: its image, then its start. It tells
// whether containers after it may be started too.
func (v *view) start(spec *corev1.Container) bool {
	action := StartContainer{Container: spec.Name, Hash: HashOf(spec), RestartCount: v.nextCount(spec.Name)}
	if v.Underway[action.Key()] {
		// The order of the specification holds up to the end of postStart.
		return false
	}
	due, backoff := v.restartDue(spec.Name)
	if v.Now.Before(due) {
		v.wake(due)
		v.event(spec.Name, corev1.EventTypeWarning, "BackOff", v.crashLoopEvent(spec.Name))
		return true
	}
	action.Backoff = backoff
	if v.removeLeftover(spec.Name) || !v.mayTry(action) {
		return true
	}
	image, known := v.Images[spec.Name]
	if !known || image.Ref == "" {
		v.pull(spec, image, known)
		return true
	}
	if v.sandbox != nil && v.VolumesReady {
		action.SandboxID, action.ImageRef = v.sandbox.ID, image.Ref
		v.do(action)
		return false
	}
	return true
}

func (v *view) pull(spec *corev1.Container, image Image, known bool) {
	if known {
		again := image.At.Add(image.Backoff)
		if v.Now.Before(again) {
			v.wake(again)
			v.wake(image.At.Add(shownFor))
			return
		}
	}
	v.do(PullImage{Container: spec.Name})
}

// startEndsWithin is how long a start may go on after the agent that asked for
// it has died. The runtime gives it up as soon as it sees that.
const startEndsWithin = 2 * time.Second

// removeLeftover removes containers that were created and never started, and
// tells whether there are any. Nothing is removed while a start may be under
// way: the runtime would stop what has just begun to run.
func (v *view) removeLeftover(name string) bool {
	found := false
	for _, c := range v.byName[name] {
		if c.State != Created {
			continue
		}
		found = true
		if settled := v.Since.Add(startEndsWithin); c.FinishedAt.IsZero() && v.Now.Before(settled) {
			v.wake(settled)
		} else {
			v.do(RemoveContainer{Container: name, ID: c.ID})
		}
	}
	return found
}

// nextCount is the restart count of a container's next start.
func (v *view) nextCount(name string) int {
	if c := v.current(name); c != nil {
		return c.RestartCount + 1
	}
	old := v.published(name)
	switch {
	case old == nil:
		return 0
	case old.ContainerID != "":
		return int(old.RestartCount) + 1
	default:
		return int(old.RestartCount) // its loss was counted
	}
}

// containersKept is how many containers of one name are kept: the current one
// and the one before, for `kubectl logs --previous`.
const containersKept = 2

// prune removes dead containers that nothing shows any more.
func (v *view) prune() {
	if v.Gone {
		return
	}
	for _, spec := range v.specs() {
		kept := 0
		for i := range v.byName[spec.Name] {
			c := &v.byName[spec.Name][i]
			if kept++; kept > containersKept && c.State == Exited {
				v.do(RemoveContainer{Container: spec.Name, ID: c.ID})
			}
		}
	}
}
