package sim

import (
	"cmp"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/rollout"
)

// checkRest: a world at rest is exactly what its users want.
func (w *World) checkRest() {
	d, exists := w.deployments.find(w.name)
	if !exists {
		w.checkOrphans()
		return
	}
	wanted := *d.Spec.Replicas
	var next *appsv1.ReplicaSet
	old := 0
	for _, rs := range w.oldestFirst() {
		switch {
		case !isControlledBy(rs, d.UID):
			w.violate("at rest: %s is not the Deployment's", rs.Name)
		case next == nil && rollout.IsCurrent(rs, d):
			next = rs
		default:
			old++
			w.checkSetAtRest(rs, 0)
		}
	}
	if next == nil {
		w.violate("at rest: the template has no ReplicaSet")
		return
	}
	w.checkSetAtRest(next, wanted)
	if limit := int(*d.Spec.RevisionHistoryLimit); old > limit {
		w.violate("at rest: %d old ReplicaSets are kept, not %d", old, limit)
	}
	for _, rs := range w.sets.live {
		if rs != next && rollout.Revision(rs.Annotations) >= rollout.Revision(next.Annotations) {
			w.violate("at rest: revision %d of %s is not below the newest", rollout.Revision(rs.Annotations), rs.Name)
		}
	}
	if d.Annotations[rollout.RevisionAnnotation] != next.Annotations[rollout.RevisionAnnotation] {
		w.violate("at rest: the Deployment has revision %s", d.Annotations[rollout.RevisionAnnotation])
	}
	w.checkStatusAtRest(d)
}

// oldestFirst are all ReplicaSets by age. Two of one template there are when a
// Deployment was deleted and made again; the older one is then used.
func (w *World) oldestFirst() []*appsv1.ReplicaSet {
	return slices.SortedFunc(slices.Values(w.sets.live), func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// checkOrphans: without a Deployment there are the sets that were left, with
// their Pods, or nothing.
func (w *World) checkOrphans() {
	for _, rs := range w.sets.live {
		w.checkSetAtRest(rs, *rs.Spec.Replicas)
	}
	for _, pod := range w.pods.live {
		if pod.Labels["app"] == web && !isControlledBy(pod, foreign) && len(w.sets.live) == 0 && len(pod.OwnerReferences) > 0 {
			w.violate("at rest: %s is left of nothing", pod.Name)
		}
	}
}

// checkSetAtRest: a set has as many Pods as wanted, all available, none on
// its way out, and says so.
func (w *World) checkSetAtRest(rs *appsv1.ReplicaSet, wanted int32) {
	if *rs.Spec.Replicas != wanted {
		w.violate("at rest: %s has %d replicas, not %d", rs.Name, *rs.Spec.Replicas, wanted)
	}
	active, ready := int32(0), int32(0)
	for _, pod := range w.podsOf(rs.UID) {
		switch {
		case pod.DeletionTimestamp != nil:
			w.violate("at rest: %s is on its way out", pod.Name)
		case isActive(pod):
			active++
		}
		// For how long they have been ready is not asked: when a clock goes
		// back, what was available stays so.
		if isActive(pod) && isReady(pod) {
			ready++
		}
	}
	if active != wanted || ready != wanted {
		w.violate("at rest: %s has %d Pods, %d of them ready, not %d", rs.Name, active, ready, wanted)
	}
	s := rs.Status
	if s.Replicas != wanted || s.ReadyReplicas != wanted || s.AvailableReplicas != wanted || s.FullyLabeledReplicas != wanted ||
		s.ObservedGeneration != rs.Generation || s.TerminatingReplicas != nil && *s.TerminatingReplicas != 0 || len(s.Conditions) != 0 {
		w.violate("at rest: the status of %s with %d replicas is %+v", rs.Name, wanted, s)
	}
}

func (w *World) checkStatusAtRest(d *appsv1.Deployment) {
	s, wanted := d.Status, *d.Spec.Replicas
	if s.Replicas != wanted || s.UpdatedReplicas != wanted || s.ReadyReplicas != wanted || s.AvailableReplicas != wanted ||
		s.UnavailableReplicas != 0 || s.TerminatingReplicas == nil || *s.TerminatingReplicas != 0 || s.ObservedGeneration != d.Generation {
		w.violate("at rest: the status with %d replicas is %+v", wanted, s)
	}
	conditions := map[appsv1.DeploymentConditionType]appsv1.DeploymentCondition{}
	for _, c := range s.Conditions {
		conditions[c.Type] = c
	}
	if conditions[appsv1.DeploymentAvailable].Status != corev1.ConditionTrue {
		w.violate("at rest: the Deployment is not Available: %+v", s.Conditions)
	}
	if *d.Spec.ProgressDeadlineSeconds != math.MaxInt32 && conditions[appsv1.DeploymentProgressing].Reason != rollout.NewReplicaSetAvailable {
		w.violate("at rest: the rollout is not complete: %+v", s.Conditions)
	}
	if failure, set := conditions[appsv1.DeploymentReplicaFailure]; set {
		w.violate("at rest: ReplicaFailure is left: %s", failure.Message)
	}
}
