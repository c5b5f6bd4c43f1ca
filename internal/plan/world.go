package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
	"coxswain.dev/cox/internal/rollout"
)

// mostDecisions bounds a plan: a rolling update of 10,000 Pods one by one
// takes fewer.
const mostDecisions = 100_000

// world is the copy of the cluster on which the update is tried.
type world struct {
	in         Input
	now        time.Time
	deployment *appsv1.Deployment
	sets       map[types.UID]*appsv1.ReplicaSet
	// pods are those of the sets, by the set's UID.
	pods map[types.UID][]*pod
	// failed is what became of each set's last attempt to make Pods.
	failed map[types.UID]*replicas.Failure
	rooms  *rooms
	quotas []*quotaLeft

	// made counts what was made, for names and UIDs.
	made  int
	waves []Wave
	// wakeAt is the Deployment controller's, setWakeAt the sets'.
	wakeAt    time.Time
	setWakeAt map[types.UID]time.Time
	decisions int

	waits      waits
	deadlineAt time.Time
	completeAt time.Time
	// counted are the last counts, movedAt is when they came to be so (noteMove).
	counted        Counts
	movedAt        time.Time
	mostPods       int32
	leastAvailable int32
}

func newWorld(in Input) *world {
	w := &world{
		in: in, now: in.Now, deployment: in.After.DeepCopy(),
		sets: map[types.UID]*appsv1.ReplicaSet{}, pods: map[types.UID][]*pod{}, failed: map[types.UID]*replicas.Failure{},
		setWakeAt: map[types.UID]time.Time{}, waves: []Wave{},
	}
	// A paused rollout is shown as it goes when it is resumed.
	w.deployment.Spec.Paused = false
	w.deployment.Status = appsv1.DeploymentStatus{}
	if in.Before != nil {
		w.deployment.Status = *in.Before.Status.DeepCopy()
	}
	if w.deployment.UID == "" {
		w.deployment.UID = "planned"
	}
	for _, rs := range in.ReplicaSets {
		w.sets[rs.UID] = rs.DeepCopy()
	}
	w.rooms = newRooms(in)
	w.quotas = quotasLeft(in.Quotas)
	for _, existing := range in.Pods {
		if owner := metav1.GetControllerOfNoCopy(existing); owner != nil && w.sets[owner.UID] != nil {
			w.take(owner.UID, existing)
		}
	}
	counts := w.counts()
	w.mostPods, w.leastAvailable = counts.Total, counts.Available
	w.noteMove(counts)
	return w
}

// run goes on until the rollout is complete, with what the history does not
// keep forgotten, or nothing will happen any more.
func (w *world) run() {
	for w.settle() && !(w.noteComplete() && !w.forgetsYet()) {
		next := w.nextEvent()
		if next.IsZero() {
			return
		}
		w.now = next
	}
}

// noteComplete tells whether the rollout is complete, and keeps since when.
func (w *world) noteComplete() bool {
	complete := w.complete()
	if complete && w.completeAt.IsZero() {
		w.completeAt = w.now
	}
	return complete
}

// forgetsYet tells whether there is an old ReplicaSet which is deleted when its
// last Pods are gone.
func (w *world) forgetsYet() bool {
	limit := w.deployment.Spec.RevisionHistoryLimit
	return limit != nil && len(w.sets)-1 > int(*limit) && w.counts().Stopping > 0
}

// settle lets the controllers work until all have done what is to do now. It
// returns false if that takes more decisions than a plan may have.
func (w *world) settle() bool {
	for {
		w.waits.begin()
		changed := w.letPods()
		changed = w.decideDeployment() || changed
		changed = w.decideSets() || changed
		changed = w.placePods() || changed
		w.note()
		if !changed {
			w.waits.end(w.now)
			return true
		}
		if w.decisions++; w.decisions > mostDecisions {
			return false
		}
	}
}

// note keeps the extremes, and completes the counts of the last wave.
func (w *world) note() {
	counts := w.counts()
	w.mostPods, w.leastAvailable = max(w.mostPods, counts.Total), min(w.leastAvailable, counts.Available)
	w.noteMove(counts)
	if n := len(w.waves); n > 0 && w.waves[n-1].AtSeconds == w.sinceStart() {
		w.waves[n-1].Counts = counts
	}
}

// noteMove keeps when the counts last changed; that Pods which were told to
// stop are gone is no move.
func (w *world) noteMove(counts Counts) {
	counts.Stopping = 0
	if counts != w.counted || w.movedAt.IsZero() {
		w.counted, w.movedAt = counts, w.now
	}
}

func (w *world) sinceStart() float64 { return seconds(w.now.Sub(w.in.Now)) }

// nextEvent is when something happens by time alone; zero if nothing does.
func (w *world) nextEvent() time.Time {
	next := w.wakeAt
	earliest := func(at time.Time) {
		if at.After(w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, at := range w.setWakeAt {
		earliest(at)
	}
	for _, pods := range w.pods {
		for _, p := range pods {
			earliest(p.readyAt)
			earliest(p.goneAt)
		}
	}
	if !next.After(w.now) {
		return time.Time{}
	}
	return next
}

// sorted are the ReplicaSets, the oldest first.
func (w *world) sorted() []*appsv1.ReplicaSet {
	return slices.SortedFunc(maps.Values(w.sets), func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

func (w *world) isNew(rs *appsv1.ReplicaSet) bool { return rollout.IsCurrent(rs, w.deployment) }

// newUID is one that no object of the cluster has.
func (w *world) newUID() types.UID {
	w.made++
	return types.UID(fmt.Sprintf("planned-%d-%d", w.in.Now.Unix(), w.made))
}

// podList are the Pods of a set that are not gone.
func (w *world) podList(uid types.UID) []*corev1.Pod {
	var all []*corev1.Pod
	for _, p := range w.pods[uid] {
		all = append(all, p.Pod)
	}
	return all
}
