package sim

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Search tries all interleavings of a small rollout: of both controllers, of
// Pods that become ready and go, and of users who edit the template, with
// crashes before any write, or between any two, and with controllers that read
// caches which lag, by as much as may be.
type Search struct {
	Replicas, MaxSurge, MaxUnavailable int32
	// Images are the templates: the first is rolled out when the search
	// begins, the others are set one after the other at any time.
	Images []string
	// Crashes is how many there may be.
	Crashes int
	// StaleReads is how often a controller may look at caches that lag. All
	// other looks are at caches that have heard of everything.
	StaleReads int
	// Recreate is the strategy instead of RollingUpdate.
	Recreate bool
	// Abstract takes states for one that differ only in what no decision of a
	// rolling update reads: the Deployment's own status, Pods on their way out
	// (they are gone at once), which controllers have been woken (they may look
	// at any time), and Pods that are ready before their ReplicaSet's controller
	// looks (they become so when it does). A wake-up that is missing is not
	// found then.
	Abstract bool
	// MostStates bounds the search; 0 is no bound.
	MostStates int
	// Progress, if given, is called now and then: with how many states were
	// reached, and of how many what follows is not known yet.
	Progress func(states, waiting int)
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
	// world is dropped when what follows it is known.
	world *World
	// edits, crashes and staleReads are how many there were.
	edits, crashes, staleReads int
	hash                       uint64
	from                       *node
	by                         string
}

// Run searches.
func (s Search) Run() Found {
	first := &node{world: s.begin()}
	first.hash = s.hash(first)
	if v := first.world.ghost.violation; v != "" {
		return Found{Violation: "before the search: " + v}
	}
	r := &run{search: s, seen: map[uint64]budgets{}}
	r.take([]*node{first})
	looked := 0
	for n := r.next(); n != nil; n = r.next() {
		next := s.after(n)
		if r.rests(n, next) {
			r.found.Rests++
			n.world.comeToRest()
			next = append(next, n)
		}
		for _, n := range next {
			if r.found.Violation = n.world.ghost.violation; r.found.Violation != "" {
				r.found.Path = n.path()
				return r.found
			}
		}
		r.take(next)
		n.world = nil
		if looked++; looked%progressEvery == 0 && s.Progress != nil {
			s.Progress(r.found.States, r.waiting)
		}
		if s.MostStates > 0 && r.found.States >= s.MostStates {
			return r.found
		}
	}
	r.found.Complete = true
	return r.found
}

// run is a search under way.
type run struct {
	search Search
	// seen are the states that were reached, by their hashes.
	seen map[uint64]budgets
	// todo are those whose followers are not known yet, by what they have
	// used up. Those that have used less come first, as they cover others.
	todo    [spendings][]*node
	waiting int
	found   Found
}

// progressEvery is after how many states a search tells how far it is: some ten
// seconds.
const progressEvery = 100_000

// mostWaiting bounds how many states wait, and with them the memory: beyond
// it, those come first that have used most, as fewest follow them.
const mostWaiting = 100_000

// spending numbers what a state has used up of the crashes and stale reads.
const spendings = 16

func (n *node) spent() int { return n.crashes*4 + n.staleReads }

// budgets are all spendings with which a state was reached, a bit each.
type budgets uint16

// covers tells whether a state was reached with no more used up: all that may
// follow then followed there too.
func (b budgets) covers(n *node) bool {
	for crashes := range n.crashes + 1 {
		for staleReads := range n.staleReads + 1 {
			if b&(1<<(crashes*4+staleReads)) != 0 {
				return true
			}
		}
	}
	return false
}

// take notes new states.
func (r *run) take(nodes []*node) {
	for _, n := range nodes {
		before := r.seen[n.hash]
		if before.covers(n) {
			continue
		}
		if before == 0 {
			r.found.States++
		}
		r.seen[n.hash] = before | 1<<n.spent()
		r.todo[n.spent()] = append(r.todo[n.spent()], n)
		r.waiting++
	}
}

func (r *run) next() *node {
	for i := range r.todo {
		if r.waiting > mostWaiting {
			i = spendings - 1 - i
		}
		if last := len(r.todo[i]) - 1; last >= 0 {
			n := r.todo[i][last]
			r.todo[i][last], r.todo[i] = nil, r.todo[i][:last]
			r.waiting--
			return n
		}
	}
	return nil
}

// rests tells whether nothing is left to do: no step but a crash leads
// anywhere. What leads to a state with caches that lag leads to one without.
func (r *run) rests(n *node, next []*node) bool {
	return n.edits == len(r.search.Images)-1 && !n.world.lags() && !slices.ContainsFunc(next, func(next *node) bool {
		return next.spent() == n.spent() && next.hash != n.hash && !next.world.lags()
	})
}

// comeToRest lets what an abstract search does not tell apart come to its end,
// and checks it.
func (w *World) comeToRest() {
	for version := -1; version != w.version; w.deliverAll() {
		version = w.version
		w.process.lookAtDeployment(keyOfName(web))
		for _, k := range keysOf(w.setCache.items) {
			w.process.lookAtSet(k)
		}
	}
	w.checkRest()
}

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
		if s.Recreate {
			d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
		}
		return true
	})
	w.settle()
	w.audits = false
	w.nodes.abrupt = s.Abstract && !s.Recreate
	return w
}
