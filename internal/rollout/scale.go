package rollout

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// wasRescaled tells whether the Deployment's size has changed since its
// ReplicaSets were last given theirs.
func (w *wave) wasRescaled() bool {
	for _, rs := range w.all {
		if rs.replicas == 0 {
			continue
		}
		if desired, ok := count(rs.Annotations[DesiredReplicasAnnotation]); ok && desired != w.wanted() {
			return true
		}
	}
	return false
}

// count reads a count from an annotation; what makes no sense is not one.
func count(text string) (int32, bool) {
	value, err := strconv.ParseInt(text, 10, 32)
	if err != nil || value < 0 {
		return 0, false
	}
	return int32(value), true
}

// scale brings the ReplicaSets to the Deployment's size: the only active one
// gets all of it, several share it in proportion.
func (w *wave) scale() {
	if only := w.onlyActive(); only != nil {
		if only.replicas == 0 && !w.isRolling() && w.oldPodsRun() {
			return // also in a pause, Recreate mixes no versions
		}
		w.resize(only, w.grown(only), "the Deployment was scaled")
		if only.replicas == w.wanted() {
			// The size may be right and the annotation old.
			w.noteSize(only)
		}
		return
	}
	if w.saturated() {
		for _, rs := range w.old {
			w.resize(rs, 0, "the new ReplicaSet has all Pods")
		}
		return
	}
	if w.isRolling() {
		w.scaleProportionally()
		return
	}
	// Recreate takes the old ones down, whatever their size; without a note
	// of the new size it would never get to that.
	for _, rs := range w.active() {
		w.noteSize(rs)
	}
}

// onlyActive is the ReplicaSet with Pods, if there is just one; where none has
// any, the new one or the youngest.
func (w *wave) onlyActive() *replicaSet {
	active := w.active()
	switch len(active) {
	case 0:
		if w.next != nil {
			return w.next
		}
		if len(w.old) > 0 {
			return w.old[len(w.old)-1]
		}
		return nil
	case 1:
		return active[0]
	default:
		return nil
	}
}

func (w *wave) active() []*replicaSet {
	return slices.DeleteFunc(slices.Clone(w.all), func(rs *replicaSet) bool { return rs.replicas == 0 })
}

// saturated tells whether the new ReplicaSet has, and offers, all that is wanted.
func (w *wave) saturated() bool {
	if w.next == nil {
		return false
	}
	desired, ok := count(w.next.Annotations[DesiredReplicasAnnotation])
	return ok && desired == w.wanted() && w.next.replicas == w.wanted() && w.next.available() == w.wanted()
}

// scaleProportionally shares a change of size over all active ReplicaSets, so
// that a bad new template gets no more than its part.
func (w *wave) scaleProportionally() {
	sets := w.active()
	total, allowed := int64(0), int64(0)
	for _, rs := range sets {
		total += int64(rs.replicas)
	}
	if w.wanted() > 0 {
		allowed = w.most()
	}
	toAdd := allowed - total
	slices.SortStableFunc(sets, func(a, b *replicaSet) int { return bySize(a, b, toAdd > 0) })

	added := int64(0)
	sizes := make([]int64, len(sets))
	for i, rs := range sets {
		share := w.share(rs, toAdd-added)
		sizes[i] = int64(rs.replicas) + share
		added += share
	}
	if toAdd > 0 && len(sets) > 0 && awaitsTermination(w.deployment) {
		w.growInTime(sets, sizes, toAdd)
		return
	}
	if len(sets) > 0 && toAdd != 0 {
		// What rounding left goes to the largest.
		sizes[0] = max(0, sizes[0]+toAdd-added)
	}
	for i, rs := range sets {
		w.resize(rs, int32(min(sizes[i], math.MaxInt32)), "the Deployment was scaled in mid-rollout")
		w.noteSize(rs)
	}
}

// bySize puts the largest first; of equal ones the newer first when growing,
// the older first when shrinking.
func bySize(a, b *replicaSet, growing bool) int {
	byAge := cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	if growing {
		byAge = -byAge
	}
	return cmp.Or(cmp.Compare(b.replicas, a.replicas), byAge)
}

// share is what one ReplicaSet gets of the replicas left to add (or, below 0,
// to take away): its part of the size before, measured by what the maximum was
// then. None shrinks while there is more to come, as upstream lets it when the
// maximum has become smaller and the Pods are fewer still: those that it would
// take may be the available ones.
func (w *wave) share(rs *replicaSet, left int64) int64 {
	return min(max(w.fraction(rs), min(0, left)), max(0, left))
}

func (w *wave) fraction(rs *replicaSet) int64 {
	if w.wanted() == 0 {
		return -int64(rs.replicas)
	}
	before, _ := count(rs.Annotations[MaxReplicasAnnotation])
	if before == 0 {
		// Somebody has spoilt the annotation: what there is now is the
		// best guess at what the maximum was.
		before = w.deployment.Status.Replicas
		if before <= 0 {
			before = w.totalReplicas()
		}
	}
	return int64(math.Floor(float64(rs.replicas)*float64(w.most())/float64(before)+0.5)) - int64(rs.replicas)
}

func scaledEvent(name string, from, to int32) *Event {
	direction := "up"
	switch {
	case from == to:
		return nil
	case to < from:
		direction = "down"
	}
	return &Event{corev1.EventTypeNormal, "ScalingReplicaSet", fmt.Sprintf("Scaled %s replica set %s from %d to %d", direction, name, from, to)}
}
