package rollout

import (
	"cmp"
	"slices"
)

// cleanUp forgets old ReplicaSets beyond revisionHistoryLimit, the lowest
// revisions first. One that has Pods, or whose controller has not caught up
// with it, is never forgotten; Pods on their way out count too, since it is by
// their ReplicaSet that they are waited for, also by a Recreate that is yet to
// be asked for.
func (w *wave) cleanUp() {
	limit := w.deployment.Spec.RevisionHistoryLimit
	if limit == nil {
		return
	}
	alive := slices.DeleteFunc(slices.Clone(w.old), func(rs *replicaSet) bool { return rs.DeletionTimestamp != nil })
	surplus := len(alive) - int(max(0, *limit))
	if w.next == nil {
		// The newest of them tells what the next revision is.
		surplus = min(surplus, len(alive)-1)
	}
	slices.SortStableFunc(alive, func(a, b *replicaSet) int {
		return cmp.Compare(revisionOf(a.Annotations), revisionOf(b.Annotations))
	})
	for _, rs := range alive[:max(0, surplus)] {
		if rs.Status.Replicas != 0 || rs.terminating() > 0 || rs.replicas != 0 || size(rs.Spec.Replicas) != 0 || !rs.observed() {
			continue
		}
		rs.forgotten = true
		w.actions = append(w.actions, Delete{refOf(rs.ReplicaSet), "it is older than revisionHistoryLimit keeps"})
	}
}
