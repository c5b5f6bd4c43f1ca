package sim

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// fate is what becomes of a request.
type fate int

const (
	fateFine fate = iota
	// fateConflict: refused, as if the object had been changed.
	fateConflict
	// fateRefused: not carried out, and an error that says nothing.
	fateRefused
	// fateLost: carried out, and an error that says nothing.
	fateLost
	// fateOutage: carried out, the answer lost, and the next requests fail too.
	fateOutage
	// fateCrashBefore and fateCrashAfter end the controllers' process.
	fateCrashBefore
	fateCrashAfter
	// fateIntrusion: somebody else acts between the controller's look and its
	// write.
	fateIntrusion
	fates
)

func (f fate) String() string {
	return [...]string{"fine", "conflict", "refused", "lost answer", "outage", "crash before a write", "crash after a write", "intrusion"}[f]
}

// outageLength is how many requests fail after the first of an outage.
const outageLength = 3

// faults is what is going to go wrong.
type faults struct {
	// armed waits for the controllers' next writes: as many as after are let
	// through before.
	armed fate
	after int
	// broken is how many requests fail yet.
	broken int
	// holds is for how many steps a cache hears nothing.
	holds [kinds]int
	// fresh tells whether the caches begin anew after a crash in the middle of
	// a reconcile; nil draws it.
	fresh *bool
	// count is how many faults have struck, which one that waits for a write has
	// not yet; writes is how many requests to write there were.
	count, writes int
}

func newFaults() faults { return faults{} }

func (f *faults) held(of kind) bool { return f.holds[of] > 0 }

// meet gives a request its fate.
func (f *faults) meet(w *World, writes bool) fate {
	if writes {
		f.writes++
	}
	if f.broken > 0 {
		f.broken--
		return fateRefused
	}
	if f.armed == fateFine || !writes {
		return fateFine
	}
	if f.after > 0 {
		f.after--
		return fateFine
	}
	fate := f.armed
	f.armed = fateFine
	f.count++
	w.say("  strikes: %s", fate)
	switch fate {
	case fateOutage:
		f.broken = outageLength
		return fateLost
	case fateCrashBefore:
		w.process.dead = true
	case fateIntrusion:
		for range 1 + w.pick(3) {
			w.intrude()
		}
	}
	return fate
}

// intrude lets anything but the controllers act.
func (w *World) intrude() {
	switch w.pick(4) {
	case 0:
		w.userActs()
	case 1:
		w.deliver()
	default:
		w.runPods()
	}
}

// age ends the silence of watches: the cache lists again, and has missed what
// was in between.
func (f *faults) age(w *World) {
	for of := range kinds {
		if f.holds[of]--; f.holds[of] == 0 {
			w.relist(of)
		} else if f.holds[of] < 0 {
			f.holds[of] = 0
		}
	}
}

// fault is something that goes wrong, at once or with a later write. It
// returns false if it cannot happen now.
type fault struct {
	name string
	do   func(w *World) bool
}

var faultKinds = []fault{
	{"conflict", arm(fateConflict)},
	{"refused write", arm(fateRefused)},
	{"lost answer", arm(fateLost)},
	{"outage", arm(fateOutage)},
	{"crash before a write", arm(fateCrashBefore)},
	{"crash after a write", arm(fateCrashAfter)},
	{"intrusion", arm(fateIntrusion)},
	{"crash", func(w *World) bool { w.restart(w.chance(50)); return true }},
	{"silent watch of Deployments", hold(kindDeployment)},
	{"silent watch of ReplicaSets", hold(kindSet)},
	{"silent watch of Pods", hold(kindPod)},
	{"doubled event", (*World).double},
	{"clock forward", func(w *World) bool { w.skew += time.Duration(1+w.pick(7200)) * time.Second; return true }},
	{"clock back", (*World).clockBack},
	{"Pod fails", func(w *World) bool { return w.somePod(w.failPod) }},
	{"Pod crashes", func(w *World) bool { return w.somePod(w.crashPod) }},
	{"Pod hangs in termination", func(w *World) bool {
		return w.somePod(func(pod *corev1.Pod) { w.nodes.hung = append(w.nodes.hung, pod.UID); w.deletePod(pod, byOthers) })
	}},
	{"Pod will hang in termination", func(w *World) bool {
		return w.somePod(func(pod *corev1.Pod) { w.nodes.hung = append(w.nodes.hung, pod.UID) })
	}},
	{"Pod vanishes", func(w *World) bool {
		return w.somePod(func(pod *corev1.Pod) { w.ghost.lost(w, pod); w.removePod(pod) })
	}},
	{"Pod is evicted", func(w *World) bool { return w.somePod(func(pod *corev1.Pod) { w.deletePod(pod, byOthers) }) }},
	{"quota", func(w *World) bool { w.nodes.quota = w.pick(8); return true }},
	{"quota lifted", func(w *World) bool { return w.nodes.quota < plenty && w.liftQuota() }},
	{"full node", func(w *World) bool { w.nodes.room[w.pick(len(w.nodes.room))] = w.pick(2); return true }},
	{"all nodes full", func(w *World) bool { w.nodes.room = [3]int{w.pick(3), w.pick(2), 0}; return true }},
}

// arm has a fault wait for a write. Only one waits at a time, so that none is
// lost.
func arm(f fate) func(*World) bool {
	return func(w *World) bool {
		if w.faults.armed != fateFine {
			return false
		}
		w.faults.armed, w.faults.after = f, w.pick(3)
		return true
	}
}

func hold(of kind) func(*World) bool {
	return func(w *World) bool {
		w.faults.holds[of] = 5 + w.pick(30)
		return true
	}
}

// goWrong draws a fault.
func (w *World) goWrong() {
	for {
		f := faultKinds[w.pick(len(faultKinds))]
		w.say("fault: %s", f.name)
		waiting := w.faults.armed
		if f.do(w) {
			if armed := w.faults.armed; armed == fateFine || armed == waiting {
				w.faults.count++ // at once
			}
			return
		}
		w.say("  not now")
	}
}

func (f *faults) beginAnew(w *World) bool {
	if f.fresh != nil {
		return *f.fresh
	}
	return w.chance(50)
}

// restart is a new process. Its caches begin where the API was when the old
// one had last heard of it, or anywhere after that.
func (w *World) restart(fresh bool) {
	w.say("the controllers' process restarts")
	if w.recorder != nil {
		w.recorder.restarts()
	}
	w.forgive()
	skip(w, &w.deploymentCache, fresh)
	skip(w, &w.setCache, fresh)
	skip(w, &w.podCache, fresh)
	w.ghost.blind = [kinds]int{w.deployments.end(), w.sets.end(), w.pods.end()}
	w.ghost.forgetDeletions(w)
	w.ghost.watches = false
	w.faults.armed, w.faults.broken = fateFine, 0
	w.process = newProcess(w)
}

func skip[O object](w *World, c *cache[O], all bool) {
	count := c.behind()
	switch {
	case all:
	case w.faults.fresh != nil:
		count = 0 // the search has all other places by its own steps
	default:
		count = w.pick(count + 1)
	}
	for range count {
		c.next()
	}
}

func (w *World) clockBack() bool {
	w.skew -= time.Duration(1+w.pick(7200)) * time.Second
	for _, pod := range w.pods.live {
		w.ghost.lost(w, pod) // a Pod may be available no more
	}
	return true
}

func (w *World) failPod(pod *corev1.Pod) {
	w.ghost.lost(w, pod)
	w.changePod(pod, func(after *corev1.Pod) { after.Status.Phase, after.Status.Conditions = corev1.PodFailed, nil })
}

// crashPod makes a Pod not ready, with one more restart.
func (w *World) crashPod(pod *corev1.Pod) {
	w.ghost.lost(w, pod)
	restarts := int32(1)
	for _, status := range pod.Status.ContainerStatuses {
		restarts += status.RestartCount
	}
	w.changePod(pod, func(after *corev1.Pod) {
		after.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: web, RestartCount: restarts}}
		if isReady(pod) {
			after.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: w.timestamp()}}
		}
	})
}

func (w *World) liftQuota() bool {
	w.nodes.quota = plenty
	w.process.quotaFreed()
	return true
}

// heal ends all faults: what is broken gets well, and the user has a last word.
func (w *World) heal() {
	w.say("all faults end")
	w.faults.armed, w.faults.broken, w.faults.holds = fateFine, 0, [kinds]int{}
	w.nodes = newNodes()
	w.nodes.patient = true
	w.liftQuota()
	d, exists := w.deployments.find(web)
	if !exists || d.DeletionTimestamp != nil {
		return
	}
	w.changeDeployment("has a last word", func(_ *World, d *appsv1.Deployment) bool {
		main := &d.Spec.Template.Spec.Containers[0]
		if !d.Spec.Paused && main.Image != badImage {
			return false // nothing is in the way: no event comes to help
		}
		d.Spec.Paused = false
		if main.Image == badImage {
			main.Image = "v1"
		}
		return true
	})
}
