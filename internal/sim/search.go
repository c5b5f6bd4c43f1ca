package sim

import (
	"hash/maphash"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/reconcile"
)

// Search tries all interleavings of a small rollout: of both controllers, of
// three caches that lag, of Pods that become ready and go, of users who edit
// the template, and of one crash before any write, or between any two, after
// which the caches begin anew or where they were.
type Search struct {
	Replicas, MaxSurge, MaxUnavailable int32
	// Images are the templates: the first is rolled out when the search
	// begins, the others are set one after the other at any time.
	Images []string
	// Crashes is how many there may be.
	Crashes int
	// MostStates bounds the search; 0 is no bound.
	MostStates int
}

// Found is what a search came to.
type Found struct {
	// States are the different ones that were reached, Rests those in which
	// nothing was left to do.
	States, Rests int
	// Complete tells whether those are all there are.
	Complete bool
	// Violation and Path are what was broken and how; empty if nothing was.
	Violation string
	Path      []string
}

// node is one state on the way.
type node struct {
	world   *World
	edits   int
	crashes int
	from    *node
	by      string
}

// mostWrites is more than one reconcile of so small a rollout does.
const mostWrites = 12

var hashSeed = maphash.MakeSeed()

// Run searches.
func (s Search) Run() Found {
	first := &node{world: s.begin()}
	if v := first.world.ghost.violation; v != "" {
		return Found{Violation: "before the search: " + v}
	}
	seen := map[uint64]struct{}{first.hash(): {}}
	found := Found{}
	for todo := []*node{first}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		next := s.after(at)
		if !slices.ContainsFunc(next, (*node).isWork) && at.edits == len(s.Images)-1 {
			found.Rests++
			at.world.checkRest()
			if at.world.ghost.violation != "" {
				next = []*node{at}
			}
		}
		for _, n := range next {
			if n.world.ghost.violation != "" {
				found.States, found.Violation, found.Path = len(seen), n.world.ghost.violation, n.path()
				return found
			}
			h := n.hash()
			if _, known := seen[h]; !known {
				seen[h] = struct{}{}
				todo = append(todo, n)
			}
		}
		if s.MostStates > 0 && len(seen) >= s.MostStates {
			found.States = len(seen)
			return found
		}
	}
	found.States, found.Complete = len(seen), true
	return found
}

// isWork tells edits and crashes, which need not happen, from all else.
func (n *node) isWork() bool { return n.edits == n.from.edits && n.crashes == n.from.crashes }

func (n *node) path() []string {
	var path []string
	for ; n != nil && n.by != ""; n = n.from {
		path = append(path, n.by)
	}
	slices.Reverse(path)
	return path
}

// begin is a world in which the first template is rolled out.
func (s Search) begin() *World {
	w := newWorld(1, nil)
	w.createDeployment()
	w.changeDeployment("begins", func(_ *World, d *appsv1.Deployment) bool {
		d.Spec.Replicas, d.Spec.ProgressDeadlineSeconds, d.Spec.RevisionHistoryLimit = &s.Replicas, new(int32(1<<31-1)), new(int32(1))
		d.Spec.MinReadySeconds, d.Spec.Template.Spec.Containers[0].Image = 0, s.Images[0]
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge: new(intstr.FromInt32(s.MaxSurge)), MaxUnavailable: new(intstr.FromInt32(s.MaxUnavailable)),
		}}
		return true
	})
	w.settle()
	return w
}

// after are all states that may follow.
func (s Search) after(at *node) []*node {
	var next []*node
	try := func(by string, do func(w *World)) *node {
		n := &node{world: at.world.clone(), edits: at.edits, crashes: at.crashes, from: at, by: by}
		do(n.world)
		n.world.process.deploymentQueue.wake(1 << 62)
		n.world.process.setQueue.wake(1 << 62)
		n.world.checkState()
		next = append(next, n)
		return n
	}
	s.reconciles(at, try, &next)
	s.surroundings(at, try)
	if at.edits < len(s.Images)-1 {
		image := s.Images[at.edits+1]
		try("edit to "+image, func(w *World) {
			w.changeDeployment("edits", func(_ *World, d *appsv1.Deployment) bool {
				d.Spec.Template.Spec.Containers[0].Image = image
				return true
			})
		}).edits++
	}
	return next
}

// reconciles are the steps of the controllers, also with a crash before each
// of their writes.
func (s Search) reconciles(at *node, try func(string, func(*World)) *node, next *[]*node) {
	look := func(by string, do func(*World)) {
		try(by, do)
		for write := 0; at.crashes < s.Crashes && write < mostWrites; write++ {
			crashed := false
			for _, fresh := range []bool{true, false} {
				n := try(by+", crash before write "+strconv.Itoa(write), func(w *World) {
					w.faults.armed, w.faults.after, w.faults.fresh = fateCrashBefore, write, &fresh
					do(w)
				})
				n.crashes++
				crashed = n.world.faults.armed == fateFine
				if !crashed {
					*next = (*next)[:len(*next)-1]
					break
				}
			}
			if !crashed {
				return
			}
		}
	}
	for i, k := range at.world.process.deploymentQueue.due {
		look("deployment controller", func(w *World) {
			w.process.deploymentQueue.due = slices.Delete(w.process.deploymentQueue.due, i, i+1)
			w.process.lookAtDeployment(k)
		})
	}
	for i, k := range at.world.process.setQueue.due {
		look("replica set controller at "+k.Name, func(w *World) {
			w.process.setQueue.due = slices.Delete(w.process.setQueue.due, i, i+1)
			w.process.lookAtSet(k)
		})
	}
}

// surroundings are the steps of caches, kubelet and garbage collector.
func (s Search) surroundings(at *node, try func(string, func(*World)) *node) {
	w := at.world
	if w.deploymentCache.behind() > 0 {
		try("Deployments are seen", func(w *World) { w.process.seeDeployments(plenty) })
	}
	if w.setCache.behind() > 0 {
		try("ReplicaSets are seen", func(w *World) { w.process.seeSets(plenty) })
	}
	if w.podCache.behind() > 0 {
		try("Pods are seen", func(w *World) { w.process.seePods(plenty) })
	}
	var tried []string
	for i, pod := range w.pods.live {
		if pod.DeletionTimestamp == nil && isReady(pod) {
			continue
		}
		if text := w.podText(pod); !slices.Contains(tried, text) {
			tried = append(tried, text)
			try("kubelet: "+text, func(w *World) { w.runToEnd(w.pods.live[i]) })
		}
	}
	if slices.ContainsFunc(w.pods.live, func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp == nil && !contains(w.sets.live, pod.OwnerReferences[0].UID)
	}) {
		try("garbage collector", func(w *World) { w.collectGarbage() })
	}
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
