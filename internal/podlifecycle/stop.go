package podlifecycle

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// minGrace is what a container gets to end at least, even if the Pod's
// deadline has passed, unless it asked for less.
const minGrace = 2 * time.Second

// grace is how long a container may take to end from now on: what the user
// gave it, without what the API added for its connections.
func (v *view) grace() time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if given := v.Pod.Spec.TerminationGracePeriodSeconds; given != nil {
		seconds = *given
	}
	if total := v.Pod.DeletionGracePeriodSeconds; total != nil {
		seconds = *total - v.drainGrace()
	}
	grace := max(time.Duration(seconds)*time.Second, time.Second)
	if v.Pod.DeletionTimestamp == nil || v.Gone {
		return grace
	}
	return min(max(v.Pod.DeletionTimestamp.Sub(v.Now), min(grace, minGrace)), grace)
}

// terminate stops a Pod that is marked for deletion, and ends with deleting it.
func (v *view) terminate() {
	if !v.stop() || v.starting() {
		return
	}
	if v.mayTry(DeletePod{}) {
		v.do(DeletePod{})
	}
}

// remove stops a Pod that the API no longer has, and removes all of it.
func (v *view) remove() {
	if !v.stop() || v.starting() {
		return
	}
	for _, sandbox := range v.Sandboxes {
		if action := (RemoveSandbox{ID: sandbox.ID}); v.mayTry(action) {
			v.do(action)
		}
	}
}

// finish clears up a Pod that has done its work or has failed. Its containers
// stay, with their logs, until the Pod is deleted.
func (v *view) finish() { v.stop() }

// starting tells whether something was begun that brings more of the Pod into
// being.
func (v *view) starting() bool {
	for key, underway := range v.Underway {
		if underway && (key == MakeSandbox{}.Key() || key == PrepareVolumes{}.Key() || isStart(key)) {
			return true
		}
	}
	return false
}

func isStart(key string) bool {
	prefix := StartContainer{}.Key()
	return len(key) > len(prefix) && key[:len(prefix)] == prefix
}

// stop ends containers in the order of SPEC N4, then the sandbox, and takes
// volumes away. It tells whether all is done.
func (v *view) stop() bool {
	alive := v.alive()
	if len(alive) > 0 {
		if v.unrouteFirst() {
			v.do(Unroute{IPs: v.sandbox.IPs, Drain: v.drain()})
			return false
		}
		for _, c := range v.nextToStop(alive) {
			v.kill(KillContainer{Container: c.Name, ID: c.ID, Grace: v.grace(), Reason: fmt.Sprintf("Stopping container %s", c.Name)})
		}
		return false
	}
	done := true
	for _, sandbox := range v.Sandboxes {
		if !sandbox.Ready {
			continue
		}
		done = false
		if action := (StopSandbox{ID: sandbox.ID}); v.mayTry(action) {
			v.do(action)
		}
	}
	if !v.TornDown {
		done = false
		if !v.starting() && v.mayTry(TearDown{}) {
			v.do(TearDown{})
		}
	}
	return done
}

// alive are the containers that still have to be stopped.
func (v *view) alive() []Container {
	var alive []Container
	for _, c := range v.Containers {
		if running(&c) {
			alive = append(alive, c)
		}
	}
	slices.SortFunc(alive, func(a, b Container) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return alive
}

// unrouteFirst tells whether the Pod may still get new connections.
func (v *view) unrouteFirst() bool {
	return !v.Unrouted && !v.Pod.Spec.HostNetwork && v.sandbox != nil && len(v.sandbox.IPs) > 0
}

// nextToStop are all containers but the sidecars; when only sidecars are left,
// the one that was started last.
func (v *view) nextToStop(alive []Container) []Container {
	var others, sidecars []Container
	for _, c := range alive {
		if v.isSidecarName(c.Name) {
			sidecars = append(sidecars, c)
		} else {
			others = append(others, c)
		}
	}
	if len(others) > 0 {
		return others
	}
	return sidecars[len(sidecars)-1:]
}

func (v *view) isSidecarName(name string) bool {
	for i := range v.Pod.Spec.InitContainers {
		if c := &v.Pod.Spec.InitContainers[i]; c.Name == name {
			return isSidecar(c)
		}
	}
	return false
}

// kill gives a kill unless it failed a moment ago.
func (v *view) kill(action KillContainer) {
	if v.mayTry(action) {
		v.do(action)
	}
}
