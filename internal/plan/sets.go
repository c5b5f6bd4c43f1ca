package plan

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
)

// decideSets lets every ReplicaSet make and delete Pods, and count them. It
// returns whether anything changed.
func (w *world) decideSets() bool {
	changed := false
	for _, rs := range w.sorted() {
		decision := replicas.Decide(w.snapshotOf(rs))
		for _, ref := range decision.Delete {
			w.stop(rs.UID, ref.UID)
		}
		made := 0
		if decision.Create > 0 {
			made, w.failed[rs.UID] = w.makePods(rs, decision.Create)
		} else {
			w.failed[rs.UID] = nil
		}
		if made > 0 || len(decision.Delete) > 0 || w.failed[rs.UID] != nil {
			decision = replicas.Decide(w.snapshotOf(rs))
		}
		changed = w.writeStatus(rs, decision.Status) || changed || made > 0
		w.setWakeAt[rs.UID] = decision.WakeAt
	}
	return changed
}

// snapshotOf is what the ReplicaSet controller sees of a set.
func (w *world) snapshotOf(rs *appsv1.ReplicaSet) replicas.Snapshot {
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		selector = labels.Nothing()
	}
	set := &replicas.Set{
		Kind: appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), Meta: rs.ObjectMeta, Selector: selector,
		Template: &rs.Spec.Template, MinReadySeconds: rs.Spec.MinReadySeconds, Replicas: 1,
	}
	if rs.Spec.Replicas != nil {
		set.Replicas = *rs.Spec.Replicas
	}
	for _, condition := range rs.Status.Conditions {
		if condition.Type == appsv1.ReplicaSetReplicaFailure {
			set.Status.Failure = &replicas.Failure{Reason: condition.Reason, Message: condition.Message, Since: condition.LastTransitionTime}
		}
	}
	snapshot := replicas.Snapshot{Now: w.now, Set: set, Pods: w.podList(rs.UID), Failed: w.failed[rs.UID]}
	for _, other := range w.sorted() {
		if other.UID != rs.UID {
			snapshot.Related = append(snapshot.Related, w.podList(other.UID)...)
		}
	}
	return snapshot
}

// makePods makes as many Pods as the API takes. It returns how many, and why
// not all.
func (w *world) makePods(rs *appsv1.ReplicaSet, count int) (int, *replicas.Failure) {
	set := w.snapshotOf(rs).Set
	for n := range count {
		uid := w.newUID()
		made := replicas.NewPod(set, fmt.Sprintf("%05d", w.made))
		made.UID = uid
		made.CreationTimestamp = metav1.NewTime(w.now)
		made.Status.Phase = corev1.PodPending
		w.complement(rs, made)
		if problem := w.admit(rs, made); problem != nil {
			w.waits.note(*problem)
			return n, &replicas.Failure{Reason: "FailedCreate", Message: problem.Message, Since: metav1.NewTime(w.now)}
		}
		w.pods[rs.UID] = append(w.pods[rs.UID], &pod{Pod: made})
	}
	return count, nil
}

// complement gives a Pod what the API would add to it: that of the tried Pod
// for the new template, of a running Pod for an old one.
func (w *world) complement(rs *appsv1.ReplicaSet, made *corev1.Pod) {
	switch running := w.pods[rs.UID]; {
	case w.isNew(rs) && w.in.Pod != nil:
		made.Spec = *w.in.Pod.Spec.DeepCopy()
	case len(running) > 0:
		made.Spec = *running[0].Spec.DeepCopy()
	}
	made.Spec.NodeName = ""
}

// admit returns why the API would not take a Pod, nil if it does; then the
// quotas are charged.
func (w *world) admit(rs *appsv1.ReplicaSet, made *corev1.Pod) *Problem {
	if w.isNew(rs) && w.in.Refused != nil {
		return w.in.Refused
	}
	return w.charge(usageOfPod(made, w.now))
}

// writeStatus returns whether the status is another one.
func (w *world) writeStatus(rs *appsv1.ReplicaSet, status replicas.Status) bool {
	terminating := status.TerminatingReplicas
	wanted := appsv1.ReplicaSetStatus{
		Replicas: status.Replicas, FullyLabeledReplicas: status.FullyLabeledReplicas, ReadyReplicas: status.ReadyReplicas,
		AvailableReplicas: status.AvailableReplicas, TerminatingReplicas: &terminating, ObservedGeneration: status.ObservedGeneration,
	}
	if failure := status.Failure; failure != nil {
		wanted.Conditions = []appsv1.ReplicaSetCondition{{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
			Reason: failure.Reason, Message: failure.Message, LastTransitionTime: failure.Since,
		}}
	}
	if equality.Semantic.DeepEqual(rs.Status, wanted) {
		return false
	}
	rs.Status = wanted
	return true
}

// stop tells a Pod of a set to stop.
func (w *world) stop(set, uid types.UID) {
	if i := slices.IndexFunc(w.pods[set], func(p *pod) bool { return p.UID == uid }); i >= 0 {
		w.pods[set][i].stop(w.now, w.in.Model)
	}
}
