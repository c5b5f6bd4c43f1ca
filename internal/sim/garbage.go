package sim

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// foreign is the UID of a set that is none of this world's controllers' and
// always there.
const foreign types.UID = "foreign"

// collectGarbage deletes one object whose controller is gone, or does one step
// of a deletion that leaves orphans.
func (w *World) collectGarbage() bool {
	for _, d := range w.deployments.live {
		if d.DeletionTimestamp != nil {
			w.orphanOne(d)
			return true
		}
	}
	for _, rs := range w.sets.live {
		if owner := metav1.GetControllerOfNoCopy(rs); owner != nil && !contains(w.deployments.live, owner.UID) {
			w.say("garbage collector: deletes %s", rs.Name)
			w.sets.remove(rs, w.nextVersion())
			return true
		}
	}
	for _, pod := range w.pods.live {
		if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && owner.UID != foreign && pod.DeletionTimestamp == nil && !contains(w.sets.live, owner.UID) {
			w.say("garbage collector: deletes %s", pod.Name)
			w.deletePod(pod, byOthers)
			return true
		}
	}
	return false
}

func contains[O object](objects []O, uid types.UID) bool {
	return slices.ContainsFunc(objects, func(o O) bool { return o.GetUID() == uid })
}

// orphanOne frees one ReplicaSet of a Deployment that is deleted without
// them, or, when there is none left, ends the Deployment.
func (w *World) orphanOne(d *appsv1.Deployment) {
	for _, rs := range w.sets.live {
		if isControlledBy(rs, d.UID) {
			w.say("garbage collector: orphans %s", rs.Name)
			w.changeSet(rs, func(after *appsv1.ReplicaSet) { after.OwnerReferences = nil })
			return
		}
	}
	w.say("garbage collector: Deployment %s is gone", d.Name)
	w.deployments.remove(d, w.nextVersion())
}

// podsOf are the Pods that a set controls.
func (w *World) podsOf(uid types.UID) []*corev1.Pod {
	var found []*corev1.Pod
	for _, pod := range w.pods.live {
		if isControlledBy(pod, uid) {
			found = append(found, pod)
		}
	}
	return found
}
