package rollout

// rollingUpdate brings new Pods up, and takes old ones down as the new become
// available, within the bounds of maxSurge and maxUnavailable.
func (w *wave) rollingUpdate() {
	w.syncRevisions(true)
	if w.created() || w.growNew() || w.shrinkOld() {
		w.writeRolloutStatus()
		return
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
	current := int64(0)
	for _, rs := range w.all() {
		current += int64(rs.replicas)
	}
	have := int32(0)
	if w.next != nil {
		have = w.next.replicas
	}
	most := int64(w.wanted()) + int64(w.maxSurge())
	if current >= most {
		return have
	}
	return have + int32(min(most-current, int64(w.wanted()-have)))
}

// shrinkOld takes old Pods down: first those that are not available anyway,
// then as many as availability allows, from the oldest ReplicaSet on.
func (w *wave) shrinkOld() bool {
	oldPods, allPods := int64(0), int64(0)
	for _, rs := range w.old {
		oldPods += int64(rs.replicas)
	}
	if oldPods == 0 {
		return false
	}
	allPods = oldPods + int64(w.next.replicas)
	least := int64(w.wanted() - w.maxUnavailable())
	// New Pods that are not available yet count as if they were missing: a
	// crashing new template must not take the old one's Pods down.
	newUnavailable := int64(w.next.replicas - w.next.Status.AvailableReplicas)
	budget := allPods - least - newUnavailable
	if budget <= 0 {
		return false
	}
	cleaned := w.shrinkUnhealthy(budget)
	scaled := w.shrinkAvailable(least)
	return cleaned || scaled
}

func (w *wave) shrinkUnhealthy(budget int64) bool {
	changed := false
	for _, rs := range w.old {
		unavailable := int64(rs.replicas - rs.Status.AvailableReplicas)
		if budget <= 0 || rs.replicas == 0 || unavailable <= 0 {
			continue
		}
		down := min(budget, unavailable)
		budget -= down
		changed = w.resize(rs, rs.replicas-int32(down), "its Pods are not available") || changed
	}
	return changed
}

func (w *wave) shrinkAvailable(least int64) bool {
	available := int64(0)
	for _, rs := range w.all() {
		// What a ReplicaSet was told to lose, and has not lost yet, is
		// available no more: counted, it would be spent twice.
		available += int64(min(rs.Status.AvailableReplicas, rs.replicas))
	}
	changed := false
	for _, rs := range w.old {
		if available <= least {
			break
		}
		down := min(available-least, int64(rs.replicas))
		if down <= 0 {
			continue
		}
		available -= down
		changed = w.resize(rs, rs.replicas-int32(down), "enough other Pods are available") || changed
	}
	return changed
}
