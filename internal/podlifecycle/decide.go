package podlifecycle

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Decide is what the agent does next with a Pod. It reads nothing but its
// argument.
func Decide(s Snapshot) Decision {
	v := newView(s)
	switch {
	case s.Gone:
		v.remove()
	case s.Pod.DeletionTimestamp != nil:
		v.terminate()
	case v.finished():
		v.finish()
	default:
		v.run()
	}
	v.prune()
	v.addProbes()
	v.d.Status = v.status()
	v.d.Actions = slices.DeleteFunc(v.d.Actions, func(a Action) bool { return s.Underway[a.Key()] })
	return v.d
}

// view is a Snapshot with what every step asks for worked out once.
type view struct {
	Snapshot
	d Decision
	// byName has the containers of each name, the newest first.
	byName map[string][]Container
	// sandbox is the newest ready one, or nil; newest the newest of all.
	sandbox, newest *Sandbox
	// outcome is what the main and init containers have come to.
	outcome outcome
}

func newView(s Snapshot) *view {
	v := &view{Snapshot: s, byName: map[string][]Container{}}
	sandboxes := slices.Clone(s.Sandboxes)
	slices.SortStableFunc(sandboxes, func(a, b Sandbox) int { return b.CreatedAt.Compare(a.CreatedAt) })
	for i := range sandboxes {
		if v.newest == nil {
			v.newest = &sandboxes[i]
		}
		if sandboxes[i].Ready && v.sandbox == nil {
			v.sandbox = &sandboxes[i]
		}
	}
	for _, c := range s.Containers {
		v.byName[c.Name] = append(v.byName[c.Name], c)
	}
	for _, containers := range v.byName {
		slices.SortStableFunc(containers, func(a, b Container) int {
			if a.RestartCount != b.RestartCount {
				return b.RestartCount - a.RestartCount
			}
			return b.CreatedAt.Compare(a.CreatedAt)
		})
	}
	v.outcome = v.judge()
	return v
}

// current is the newest container of a name that was ever to run; nil if none.
// One that was only created, by an agent that died then, does not count.
func (v *view) current(name string) *Container {
	for i := range v.byName[name] {
		if v.byName[name][i].State != Created {
			return &v.byName[name][i]
		}
	}
	return nil
}

// previous is the container before the current one, nil if there is none.
func (v *view) previous(name string) *Container {
	found := false
	for i := range v.byName[name] {
		if v.byName[name][i].State == Created {
			continue
		}
		if found {
			return &v.byName[name][i]
		}
		found = true
	}
	return nil
}

// here tells whether a container belongs to the sandbox that is in use.
func (v *view) here(c *Container) bool {
	return c != nil && v.sandbox != nil && c.SandboxID == v.sandbox.ID
}

// running tells whether a container's processes may be alive.
func running(c *Container) bool {
	return c != nil && (c.State == Running || c.State == Unknown)
}

func (v *view) do(actions ...Action) { v.d.Actions = append(v.d.Actions, actions...) }

func (v *view) event(container, kind, reason, message string) {
	v.d.Events = append(v.d.Events, Event{Container: container, Type: kind, Reason: reason, Message: message})
}

// wake makes sure that Decide is called again by that time.
func (v *view) wake(at time.Time) {
	if at.After(v.Now) && (v.d.WakeAt.IsZero() || at.Before(v.d.WakeAt)) {
		v.d.WakeAt = at
	}
}

// mayTry tells whether an action that failed before may be tried again, and
// wakes up when it may.
func (v *view) mayTry(a Action) bool {
	failure, failed := v.Failures[a.Key()]
	if !failed {
		return true
	}
	at := failure.At.Add(failure.Backoff)
	v.wake(at)
	return !v.Now.Before(at)
}

// isSidecar tells whether an init container goes on beside the main ones.
func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// asContainer is an ephemeral container in the form of the others.
func asContainer(c *corev1.EphemeralContainer) *corev1.Container {
	container := corev1.Container(c.EphemeralContainerCommon)
	return &container
}
