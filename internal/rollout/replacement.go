package rollout

import (
	"cmp"
	"math"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// PodReplacementPolicyAnnotation of a Deployment says when Pods that are on
// their way out are replaced, with the meaning of podReplacementPolicy in
// KEP-3973. The field itself is in no released API.
const PodReplacementPolicyAnnotation = "coxswain.dev/pod-replacement-policy"

// Values of PodReplacementPolicyAnnotation. Without one, or with any other, a
// rollout by Recreate waits until Pods are gone, and everything else does not.
const (
	// TerminationStarted replaces a Pod when it has been told to end.
	TerminationStarted = "TerminationStarted"
	// TerminationComplete replaces a Pod when it is gone: Pods on their way
	// out count for the bounds, and a rollout is complete when none is left.
	TerminationComplete = "TerminationComplete"
)

func awaitsTermination(d *appsv1.Deployment) bool {
	return d.Annotations[PodReplacementPolicyAnnotation] == TerminationComplete
}

// mayRun tells whether a Pod of an old template stands in the way of Recreate.
func (w *wave) mayRun(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil && w.deployment.Annotations[PodReplacementPolicyAnnotation] == TerminationStarted {
		return false
	}
	return pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded
}

// room is how many Pods more there may be in all. By default only what the
// ReplicaSets are told to have counts; with TerminationComplete also what they
// have not lost yet, and what is on its way out.
func (w *wave) room() int64 {
	room := w.most()
	for _, rs := range w.all {
		room -= int64(rs.replicas)
		if awaitsTermination(w.deployment) {
			room -= int64(max(0, rs.Status.Replicas-rs.replicas)) + int64(rs.terminating())
		}
	}
	return max(0, room)
}

// terminating is how many of its Pods are on their way out.
func (rs *replicaSet) terminating() int32 {
	if rs.Status.TerminatingReplicas == nil {
		return 0
	}
	return max(0, *rs.Status.TerminatingReplicas)
}

// growInTime shares out what there is room for now of toAdd replicas: first
// the shares in proportion, by which ReplicaSets come to sizes, then what
// rounding left, to the largest. Where that is not all, they keep the note of
// the size before, and the rest follows when Pods on their way out have gone.
// One that gets a part of its share notes such a maximum that the rest of it
// will be its share then.
func (w *wave) growInTime(sets []*replicaSet, sizes []int64, toAdd int64) {
	room := w.room()
	late := room < toAdd
	given := make([]int64, len(sets))
	for i, rs := range sets {
		given[i] = min(sizes[i]-int64(rs.replicas), room)
		room -= given[i]
	}
	given[0] += room
	for i, rs := range sets {
		w.resize(rs, rs.replicas+int32(given[i]), "the Deployment was scaled in mid-rollout")
		w.noteSize(rs)
		if late {
			rs.annotate(DesiredReplicasAnnotation, cmp.Or(rs.Annotations[DesiredReplicasAnnotation], "0"))
			before := float64(rs.replicas) * float64(w.most()) / float64(max(sizes[i], int64(rs.replicas)))
			rs.annotate(MaxReplicasAnnotation, strconv.FormatInt(int64(math.Round(before)), 10))
		}
	}
}

// grown is the part of a new size for which there is room now.
func (w *wave) grown(rs *replicaSet) int32 {
	return int32(min(int64(w.wanted()), int64(rs.replicas)+w.room()))
}
