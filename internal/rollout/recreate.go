package rollout

import (
	corev1 "k8s.io/api/core/v1"
)

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
	w.resize(w.next, w.wanted(), "Recreate: no Pod of the old template is left")
	if w.complete() {
		w.cleanUp()
	}
	w.writeRolloutStatus()
}

// oldPodsRun tells whether a Pod of an old template may still run. One that is
// on its way out does; one that has ended does not.
func (w *wave) oldPodsRun() bool {
	for _, rs := range w.old {
		if rs.Status.Replicas > 0 || !rs.observed() {
			return true // or its Pods may not be seen yet
		}
		for _, pod := range w.snap.Pods[rs.UID] {
			if pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
				return true
			}
		}
	}
	return false
}
