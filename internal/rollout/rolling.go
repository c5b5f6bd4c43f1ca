package rollout

// rollingUpdate brings new Pods up, and takes old ones down as the new become
// available, within the bounds of maxSurge and maxUnavailable.
func (w *wave) rollingUpdate() {
	w.syncRevisions(true)
	if !w.created() && !w.growNew() {
		w.shrinkOld()
	}
	if w.complete() {
		w.cleanUp()
	}
	w.writeRolloutStatus()
}

func (w *wave) created() bool { return w.next != nil && w.next.created }

// growNew lets the new ReplicaSet have as many Pods as fit under the surge.
func (w *wave) growNew() bool {
	if w.next.replicas > w.wanted() {
		return w.resize(w.next, w.wanted(), "the new ReplicaSet has more replicas than are wanted")
	}
	return w.resize(w.next, w.roomForNew(), "there is room for more Pods of the new template")
}

// roomForNew is how many replicas the new ReplicaSet may have now: what is
// missing, but no more in total than replicas + maxSurge.
func (w *wave) roomForNew() int32 {
	have := w.next.replicas
	return have + int32(min(w.room(), int64(w.wanted()-have)))
}

// shrinkOld takes old Pods down: first those that are not available anyway,
// then as many as availability allows, from the oldest ReplicaSet on.
func (w *wave) shrinkOld() {
	least := int64(w.wanted() - w.maxUnavailable())
	w.shrinkUnhealthy(least)
	w.shrinkAvailable(least)
}

func (w *wave) shrinkUnhealthy(least int64) {
	// New Pods that are not available yet count as if they were missing: a
	// crashing new template must not take the old one's Pods down.
	budget := int64(w.next.available()) - least
	for _, rs := range w.old {
		budget += int64(rs.replicas)
	}
	for _, rs := range w.old {
		if !rs.observed() {
			continue
		}
		unavailable := int64(rs.replicas - rs.Status.AvailableReplicas)
		down := max(0, min(budget, unavailable))
		budget -= down
		w.resize(rs, rs.replicas-int32(down), "its Pods are not available")
	}
}

func (w *wave) shrinkAvailable(least int64) {
	available := int64(0)
	for _, rs := range w.all {
		// What a ReplicaSet was told to lose, and has not lost yet, is
		// available no more: counted, it would be spent twice.
		available += int64(rs.available())
	}
	for _, rs := range w.old {
		down := max(0, min(available-least, int64(rs.replicas)))
		available -= down
		w.resize(rs, rs.replicas-int32(down), "enough other Pods are available")
	}
}
