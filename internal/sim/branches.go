package sim

import (
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/reconcile"
)

// after are all states that may follow.
func (s Search) after(at *node) []*node {
	b := &branches{search: s, at: at}
	w := at.world
	for _, k := range s.due(&w.process.deploymentQueue, keysOf(w.deploymentCache.items)) {
		b.look("deployment controller", func(w *World) {
			w.process.deploymentQueue.drop(k)
			w.process.lookAtDeployment(k)
		})
	}
	for _, k := range s.due(&w.process.setQueue, keysOf(w.setCache.items)) {
		for ready := range s.becomeReady(w, k) + 1 {
			b.look("replica set controller at "+k.Name+readyText(ready), func(w *World) {
				w.makeReady(k, ready)
				w.process.setQueue.drop(k)
				w.process.lookAtSet(k)
			})
		}
	}
	if !s.Abstract {
		b.runPods()
	}
	b.collectGarbage()
	if at.edits < len(s.Images)-1 {
		b.edit(s.Images[at.edits+1])
	}
	return b.next
}

// becomeReady is how many Pods of a set may become ready before its controller
// looks at it, in an abstract search. Nothing but that look reads whether a Pod
// is ready, so that it need not happen before; and a Pod of which the cache
// does not hear in time might as well become ready after the look.
func (s Search) becomeReady(w *World, k reconcile.Key) int {
	if !s.Abstract || w.podCache.behind() > 0 {
		return 0
	}
	waiting := 0
	for _, pod := range w.pods.live {
		if pod.OwnerReferences[0].Name == k.Name && pod.DeletionTimestamp == nil && !isReady(pod) {
			waiting++
		}
	}
	return waiting
}

// makeReady lets some Pods of a set become ready, and the cache hear of it.
func (w *World) makeReady(k reconcile.Key, count int) {
	for _, pod := range slices.Clone(w.pods.live) {
		if count > 0 && pod.OwnerReferences[0].Name == k.Name && pod.DeletionTimestamp == nil && !isReady(pod) {
			w.runToEnd(pod)
			w.see(kindPod, 1)
			count--
		}
	}
}

func readyText(count int) string {
	if count == 0 {
		return ""
	}
	return fmt.Sprintf(", %d more Pods being ready", count)
}

// due are the keys that may be looked at.
func (s Search) due(q *queue, all []reconcile.Key) []reconcile.Key {
	if s.Abstract {
		return all
	}
	return q.due
}

func keysOf[O object](items []O) []reconcile.Key {
	var keys []reconcile.Key
	for _, o := range items {
		keys = append(keys, reconcile.KeyOf(o))
	}
	return keys
}

// branches gathers the states that may follow one.
type branches struct {
	search Search
	at     *node
	next   []*node
	// spare is a copy of at's world that is as good as new.
	spare *World
}

// try is one thing that may happen. It returns the state after it, in which
// the caches are where they were.
func (b *branches) try(by string, do func(w *World)) *node {
	world := b.spare
	if world == nil {
		world = b.at.world.clone()
	}
	b.spare = nil
	n := &node{world: world, edits: b.at.edits, crashes: b.at.crashes, staleReads: b.at.staleReads, from: b.at, by: by}
	n.world.ghost.staleLook = false
	do(n.world)
	n.world.checkState()
	return n
}

// done takes a state over, with every way in which its caches may go on: a
// cache hears of what has happened at once, or of a part, and of the rest only
// after somebody has read it. (To hear of it later, but before that, is the
// same.) A cache that lags stays where it is until then.
func (b *branches) done(n *node) {
	w := n.world
	if w.ghost.staleLook {
		n.staleReads++
		w.deliverAll()
	}
	states := []*node{n}
	if n.staleReads < b.search.StaleReads {
		for of := range kinds {
			if b.at.world.behind(of) == 0 {
				states = eachLag(states, of)
			}
		}
	} else {
		w.deliverAll()
	}
	for _, n := range states {
		n.world.process.deploymentQueue.wake(1 << 62)
		n.world.process.setQueue.wake(1 << 62)
		n.hash = b.search.hash(n)
	}
	b.next = append(b.next, states...)
}

// eachLag has a cache hear of all that it has not heard of yet, of all but
// one, of all but two, and so on.
func eachLag(states []*node, of kind) []*node {
	var next []*node
	for _, n := range states {
		for lag := n.world.behind(of); lag > 0; lag-- {
			copied := *n
			copied.world = n.world.clone()
			copied.world.see(of, copied.world.behind(of)-lag)
			copied.by += ", " + of.String() + "s lag by " + strconv.Itoa(lag)
			next = append(next, &copied)
		}
		n.world.see(of, n.world.behind(of))
		next = append(next, n)
	}
	return next
}

// look is a step of a controller, also with a crash before each of its writes
// and after the last.
func (b *branches) look(by string, do func(*World)) {
	n := b.try(by, do)
	writes := n.world.faults.writes - b.at.world.faults.writes
	if writes == 0 && b.search.Abstract && !n.world.ghost.staleLook {
		if n.world.version == b.at.world.version {
			b.spare = n.world
		}
		return // nothing has come of it
	}
	b.done(n)
	if b.at.crashes == b.search.Crashes {
		return
	}
	for write := range writes {
		b.crash(by+", crash before write "+strconv.Itoa(write), func(w *World, fresh *bool) {
			w.faults.armed, w.faults.after, w.faults.fresh = fateCrashBefore, write, fresh
			do(w)
		})
	}
	b.crash(by+", crash after it", func(w *World, fresh *bool) {
		do(w)
		w.faults.fresh = fresh
		w.restart(*fresh)
	})
}

// crash is a step with a crash in it. That a new process knows everything at
// once, or a part, done sees to; but not for caches that lagged before.
func (b *branches) crash(by string, do func(w *World, fresh *bool)) {
	begins := []bool{false, true}
	if !b.at.world.lags() {
		begins = begins[:1]
	}
	for _, fresh := range begins {
		n := b.try(by, func(w *World) { do(w, &fresh) })
		n.crashes++
		b.done(n)
	}
}

// runPods are the steps of the kubelet. Pods that are alike stand for one
// another.
func (b *branches) runPods() {
	w := b.at.world
	var tried []string
	for i, pod := range w.pods.live {
		if pod.DeletionTimestamp == nil && isReady(pod) {
			continue
		}
		if text := w.podText(pod); !slices.Contains(tried, text) {
			tried = append(tried, text)
			b.done(b.try("kubelet: "+text, func(w *World) { w.runToEnd(w.pods.live[i]) }))
		}
	}
}

func (b *branches) collectGarbage() {
	w := b.at.world
	if slices.ContainsFunc(w.pods.live, func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp == nil && !contains(w.sets.live, pod.OwnerReferences[0].UID)
	}) {
		b.done(b.try("garbage collector", func(w *World) { w.collectGarbage() }))
	}
}

func (b *branches) edit(image string) {
	n := b.try("edit to "+image, func(w *World) {
		w.changeDeployment("edits", func(_ *World, d *appsv1.Deployment) bool {
			d.Spec.Template.Spec.Containers[0].Image = image
			return true
		})
	})
	n.edits++
	b.done(n)
}

// runToEnd takes a Pod to where it stays: ready, or gone.
func (w *World) runToEnd(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		w.removePod(pod)
		return
	}
	w.changePod(pod, func(after *corev1.Pod) {
		after.Spec.NodeName, after.Status.Phase = "n0", corev1.PodRunning
		after.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: w.timestamp()}}
	})
}

// keyOfName is a key as the queues have it.
func keyOfName(name string) reconcile.Key { return reconcile.Key{Namespace: namespace, Name: name} }
