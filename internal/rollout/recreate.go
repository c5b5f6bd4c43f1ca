package rollout

// recreate takes all old Pods down, waits until they are really gone, and only
// then makes the new ones.
func (w *wave) recreate() {
	w.syncRevisions(false)
	changed := false
	for _, rs := range w.old {
		changed = w.resize(rs, 0, "Recreate: no Pod of the old template may be left") || changed
	}
	if changed || w.oldPodsRun() {
		w.writeRolloutStatus()
		return
	}
	if w.next == nil {
		w.syncRevisions(true)
	}
	w.resize(w.next, w.grown(w.next), "Recreate: no Pod of the old template is left")
	if w.complete() {
		w.cleanUp()
	}
	w.writeRolloutStatus()
}

// oldPodsRun tells whether a Pod of an old template may still run. One that is
// on its way out does, unless the policy is not to wait for it; one that has
// ended does not.
func (w *wave) oldPodsRun() bool {
	for _, rs := range w.old {
		if rs.Status.Replicas > 0 || !rs.observed() {
			return true // or its Pods may not be seen yet
		}
		for _, pod := range w.snap.Pods[rs.UID] {
			if w.mayRun(pod) {
				return true
			}
		}
	}
	return false
}
