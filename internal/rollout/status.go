package rollout

import (
	"fmt"
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of a Deployment's conditions.
const (
	NewReplicaSetCreated       = "NewReplicaSetCreated"
	FoundNewReplicaSet         = "FoundNewReplicaSet"
	ReplicaSetUpdated          = "ReplicaSetUpdated"
	NewReplicaSetAvailable     = "NewReplicaSetAvailable"
	ProgressDeadlineExceeded   = "ProgressDeadlineExceeded"
	ReplicaSetCreateError      = "ReplicaSetCreateError"
	DeploymentPaused           = "DeploymentPaused"
	DeploymentResumed          = "DeploymentResumed"
	MinimumReplicasAvailable   = "MinimumReplicasAvailable"
	MinimumReplicasUnavailable = "MinimumReplicasUnavailable"
)

// hasDeadline tells whether progress has to be made in time; old API versions
// wrote the largest number for "never".
func (w *wave) hasDeadline() bool {
	deadline := w.deployment.Spec.ProgressDeadlineSeconds
	return deadline != nil && *deadline != math.MaxInt32
}

// complete tells whether the rollout has nothing left to do, as far as the
// snapshot knows.
func (w *wave) complete() bool {
	status := w.counts()
	return isComplete(w.deployment, &status)
}

func isComplete(d *appsv1.Deployment, status *appsv1.DeploymentStatus) bool {
	wanted := size(d.Spec.Replicas)
	return status.UpdatedReplicas == wanted && status.Replicas == wanted && status.AvailableReplicas == wanted &&
		status.ObservedGeneration >= d.Generation && (!awaitsTermination(d) || terminatingOf(status) == 0)
}

// counts is a status without conditions.
func (w *wave) counts() appsv1.DeploymentStatus {
	status := appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation,
		CollisionCount:     w.deployment.Status.CollisionCount,
	}
	for _, rs := range w.all {
		status.Replicas = plus(status.Replicas, rs.Status.Replicas)
		status.ReadyReplicas = plus(status.ReadyReplicas, rs.Status.ReadyReplicas)
		status.AvailableReplicas = plus(status.AvailableReplicas, rs.Status.AvailableReplicas)
	}
	if w.next != nil {
		status.UpdatedReplicas = w.next.Status.Replicas
	}
	// A ReplicaSet may have more available Pods than are wanted of it.
	status.UnavailableReplicas = max(0, w.totalReplicas()-status.AvailableReplicas)
	status.TerminatingReplicas = w.terminating()
	return status
}

// terminating is how many Pods are on their way out; nil if a ReplicaSet's
// controller has looked at it and does not say.
func (w *wave) terminating() *int32 {
	total := int32(0)
	for _, rs := range w.all {
		if rs.Status.TerminatingReplicas == nil && rs.Status.ObservedGeneration > 0 {
			return nil
		}
		total = plus(total, rs.terminating())
	}
	return &total
}

func (w *wave) totalReplicas() int32 {
	total := int32(0)
	for _, rs := range w.all {
		total = plus(total, rs.replicas)
	}
	return total
}

// plus adds counts, none of which is below 0, and stops at the largest there is.
func plus(a, b int32) int32 {
	return int32(min(int64(max(0, a))+int64(max(0, b)), math.MaxInt32))
}

// writeStatus writes counts and availability, without judging progress.
func (w *wave) writeStatus() {
	status := w.counts()
	if status.AvailableReplicas >= w.wanted()-w.maxUnavailable() {
		w.setCondition(appsv1.DeploymentAvailable, corev1.ConditionTrue, MinimumReplicasAvailable, "Deployment has minimum availability.")
	} else {
		w.setCondition(appsv1.DeploymentAvailable, corev1.ConditionFalse, MinimumReplicasUnavailable, "Deployment does not have minimum availability.")
	}
	status.Conditions = w.conditions
	w.status = &status
}

// writeScaledStatus writes the status of a wave that only scales. The next one
// goes on with the rollout, unless this one waits for room: then it is it that
// may take too long.
func (w *wave) writeScaledStatus() {
	if awaitsTermination(w.deployment) {
		w.writeRolloutStatus()
	} else {
		w.writeStatus()
	}
}

// writeRolloutStatus writes the status and says how the rollout goes.
func (w *wave) writeRolloutStatus() {
	w.writeStatus()
	w.judgeProgress()
	w.copyFailure()
	w.status.Conditions = w.conditions
	w.wakeAtDeadline()
}

// judgeProgress sets the Progressing condition: done, moving, or too slow.
func (w *wave) judgeProgress() {
	if !w.hasDeadline() {
		w.removeCondition(appsv1.DeploymentProgressing)
		return
	}
	current := w.condition(appsv1.DeploymentProgressing)
	finished := current != nil && current.Reason == NewReplicaSetAvailable
	if finished && w.next != nil && w.status.Replicas == w.status.UpdatedReplicas {
		return // a finished rollout has no progress to make
	}
	subject := fmt.Sprintf("Deployment %q", w.deployment.Name)
	if w.next != nil {
		subject = fmt.Sprintf("ReplicaSet %q", w.next.Name)
	}
	switch {
	case isComplete(w.deployment, w.status):
		w.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, NewReplicaSetAvailable, subject+" has successfully progressed.")
	case w.progressed(), finished && w.next == nil:
		// Where there is no new ReplicaSet yet, Recreate has begun to wait for
		// old Pods. To upstream the rollout before is finished for as long.
		w.renewProgress(current, ReplicaSetUpdated, subject+" is progressing.")
	case w.timedOut(current):
		w.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, ProgressDeadlineExceeded, subject+" has timed out progressing.")
	}
}

// progressed tells whether Pods were made, came up, or went since the last status.
func (w *wave) progressed() bool {
	now, before := w.status, &w.deployment.Status
	return now.UpdatedReplicas > before.UpdatedReplicas ||
		now.Replicas-now.UpdatedReplicas < before.Replicas-before.UpdatedReplicas ||
		now.ReadyReplicas > before.ReadyReplicas ||
		now.AvailableReplicas > before.AvailableReplicas ||
		awaitsTermination(w.deployment) && terminatingOf(now) < terminatingOf(before)
}

func terminatingOf(status *appsv1.DeploymentStatus) int32 {
	if status.TerminatingReplicas == nil {
		return 0
	}
	return *status.TerminatingReplicas
}

// beginProgress starts the progress clock of a rollout to a ReplicaSet that
// there is already. Upstream does so only where no clock has run yet: an undo
// that gets nowhere never times out there, as the rollout before has finished,
// or has timed out when it begins, as that one had.
func (w *wave) beginProgress(current *appsv1.DeploymentCondition) {
	switch {
	case !w.hasDeadline():
	case w.deployment.Spec.Paused:
		w.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, DeploymentPaused, "Deployment is paused")
	default:
		w.renewProgress(current, FoundNewReplicaSet, fmt.Sprintf("Found new replica set %q", w.next.Name))
	}
}

// renewProgress starts the progress clock anew, also where the reason stays.
func (w *wave) renewProgress(current *appsv1.DeploymentCondition, reason, message string) {
	condition := w.newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reason, message)
	if current != nil && current.Status == corev1.ConditionTrue {
		condition.LastTransitionTime = current.LastTransitionTime
	}
	w.removeCondition(appsv1.DeploymentProgressing)
	w.conditions = append(w.conditions, condition)
}

func (w *wave) timedOut(current *appsv1.DeploymentCondition) bool {
	switch {
	case current == nil, current.Reason == NewReplicaSetAvailable:
		return false
	default:
		return w.now.After(w.deadline(current))
	}
}

// deadline counts from the last progress that was seen, but not over a time in
// which nobody watched, nor over a step of the clock.
func (w *wave) deadline(progressing *appsv1.DeploymentCondition) time.Time {
	from := progressing.LastUpdateTime.Time
	if w.snap.Since.After(from) {
		from = w.snap.Since
	}
	return from.Add(time.Duration(*w.deployment.Spec.ProgressDeadlineSeconds) * time.Second)
}

// wakeAtDeadline sees to it that a stuck rollout is noticed in time.
func (w *wave) wakeAtDeadline() {
	current := w.condition(appsv1.DeploymentProgressing)
	if !w.hasDeadline() || current == nil || current.Reason == NewReplicaSetAvailable || current.Reason == ProgressDeadlineExceeded ||
		isComplete(w.deployment, w.status) {
		return
	}
	// Times in the API are whole seconds: one more, to be past the deadline.
	w.wakeAt = w.deadline(current).Add(time.Second)
}

// notePause tells of a pause and of its end, so that the progress clock does
// not run meanwhile. A rollout that had timed out stays so.
func (w *wave) notePause() {
	current := w.condition(appsv1.DeploymentProgressing)
	if !w.hasDeadline() || current != nil && current.Reason == ProgressDeadlineExceeded {
		return
	}
	wasPaused := current != nil && current.Reason == DeploymentPaused
	switch {
	case w.deployment.Spec.Paused && !wasPaused:
		w.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, DeploymentPaused, "Deployment is paused")
	case !w.deployment.Spec.Paused && wasPaused:
		w.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, DeploymentResumed, "Deployment is resumed")
	}
}

// CreateFailed is the status that was decided on, but that it says why the new
// ReplicaSet cannot be made. Whoever does not ask for progress is not told of
// it. Upstream leaves the counts of the old Pods as they were when it began.
func CreateFailed(d *appsv1.Deployment, decided appsv1.DeploymentStatus, message string, now time.Time) appsv1.DeploymentStatus {
	w := newWave(Snapshot{Now: now, Deployment: d})
	if !w.hasDeadline() {
		return decided
	}
	w.setCause(appsv1.DeploymentProgressing, corev1.ConditionFalse, ReplicaSetCreateError, message)
	failed := *w.condition(appsv1.DeploymentProgressing)
	w.conditions = slices.Clone(decided.Conditions)
	w.removeCondition(appsv1.DeploymentProgressing)
	decided.Conditions = append(w.conditions, failed)
	return decided
}

// copyFailure shows why a ReplicaSet cannot make its Pods; the new one's cause
// comes first.
func (w *wave) copyFailure() {
	sets := slices.Clone(w.all)
	slices.Reverse(sets)
	for _, rs := range sets {
		for _, condition := range rs.Status.Conditions {
			if condition.Type == appsv1.ReplicaSetReplicaFailure && condition.Status == corev1.ConditionTrue {
				w.setCause(appsv1.DeploymentReplicaFailure, condition.Status, condition.Reason, condition.Message)
				return
			}
		}
	}
	w.removeCondition(appsv1.DeploymentReplicaFailure)
}

func (w *wave) condition(kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range w.conditions {
		if w.conditions[i].Type == kind {
			found := w.conditions[i]
			return &found
		}
	}
	return nil
}

func (w *wave) newCondition(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) appsv1.DeploymentCondition {
	now := metav1.NewTime(w.now).Rfc3339Copy()
	return appsv1.DeploymentCondition{Type: kind, Status: status, LastUpdateTime: now, LastTransitionTime: now, Reason: reason, Message: message}
}

// setCondition changes a condition if its status or its reason is another.
func (w *wave) setCondition(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) {
	current := w.condition(kind)
	if current != nil && current.Status == status && current.Reason == reason {
		return
	}
	condition := w.newCondition(kind, status, reason, message)
	if current != nil && current.Status == status {
		condition.LastTransitionTime = current.LastTransitionTime
	}
	w.removeCondition(kind)
	w.conditions = append(w.conditions, condition)
}

// setCause does the same, and follows a message that has changed too: what is
// wrong may have another cause by now, for which there is no other reason.
func (w *wave) setCause(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) {
	w.setCondition(kind, status, reason, message)
	for i := range w.conditions {
		if c := &w.conditions[i]; c.Type == kind && c.Message != message {
			c.Message, c.LastUpdateTime = message, metav1.NewTime(w.now).Rfc3339Copy()
		}
	}
}

func (w *wave) removeCondition(kind appsv1.DeploymentConditionType) {
	w.conditions = slices.DeleteFunc(w.conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == kind })
}
