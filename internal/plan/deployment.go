package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/rollout"
)

// decideDeployment lets the Deployment controller decide, and does it. It
// returns whether anything changed.
func (w *world) decideDeployment() bool {
	pods := map[types.UID][]*corev1.Pod{}
	for uid := range w.sets {
		pods[uid] = w.podList(uid)
	}
	decision := rollout.Decide(rollout.Snapshot{Now: w.now, Deployment: w.deployment, ReplicaSets: w.sorted(), Pods: pods})
	before := w.deployment.Status.CollisionCount
	done, steps := w.applyAll(decision.Actions)
	if len(steps) > 0 {
		w.waves = append(w.waves, Wave{AtSeconds: w.sinceStart(), Steps: steps})
	}
	if done < len(decision.Actions) {
		// As in the controller, what comes after a failure waits: the status too.
		w.wakeAt = time.Time{}
		return done > 0 || w.deployment.Status.CollisionCount != before
	}
	changed := done > 0 || !equality.Semantic.DeepEqual(decision.Status, w.deployment.Status)
	if exceeded(decision.Status) && !exceeded(w.deployment.Status) && w.deadlineAt.IsZero() {
		w.deadlineAt = w.now
	}
	w.deployment.Status, w.wakeAt = decision.Status, decision.WakeAt
	return changed
}

// applyAll does actions until one fails. It returns how many were done, and the
// steps among them that are to be shown.
func (w *world) applyAll(actions []rollout.Action) (done int, steps []Step) {
	for i, action := range actions {
		ok, step := w.apply(action)
		if !ok {
			return i, steps
		}
		if step != nil {
			steps = append(steps, *step)
		}
	}
	return len(actions), steps
}

// apply does one action as the API would. It returns whether it was done, and
// a step if it is one to be shown.
func (w *world) apply(action rollout.Action) (bool, *Step) {
	switch a := action.(type) {
	case rollout.Adopt:
		rs := w.sets[a.UID]
		rs.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(w.deployment, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
		return true, &Step{ReplicaSet: a.Name, New: w.isNew(rs), Verb: "adopt", Cause: a.Cause}
	case rollout.Release:
		delete(w.sets, a.UID)
		return true, &Step{ReplicaSet: a.Name, Verb: "release", Cause: a.Cause}
	case rollout.Create:
		return w.create(a)
	case rollout.Update:
		rs := w.sets[a.UID]
		rs.Spec.Replicas, rs.Spec.MinReadySeconds = &a.To, a.MinReadySeconds
		rs.Generation++
		if rs.Annotations == nil {
			rs.Annotations = map[string]string{}
		}
		maps.Copy(rs.Annotations, a.Annotations)
		if a.From == a.To {
			return true, nil
		}
		return true, &Step{ReplicaSet: a.Name, New: w.isNew(rs), Verb: "scale", From: a.From, To: a.To, Cause: a.Cause}
	case rollout.Delete:
		delete(w.sets, a.UID)
		delete(w.setWakeAt, a.UID)
		return true, &Step{ReplicaSet: a.Name, Verb: "delete", Cause: a.Cause}
	case rollout.Annotate:
		if w.deployment.Annotations == nil {
			w.deployment.Annotations = map[string]string{}
		}
		maps.Copy(w.deployment.Annotations, a.Annotations)
		return true, nil
	case rollout.RollBack:
		w.deployment.Annotations = a.Annotations
		if a.Template != nil {
			w.deployment.Spec.Template = *a.Template.DeepCopy()
			w.deployment.Generation++
		}
		return true, nil
	default:
		// The set of actions is closed; a new one has to be done here.
		panic(fmt.Sprintf("plan does not know the action %T", action))
	}
}

// create makes a ReplicaSet. Where another template's has its name, the
// Deployment chooses another; a quota may not allow it.
func (w *world) create(a rollout.Create) (bool, *Step) {
	for _, rs := range w.sets {
		if rs.Name == a.ReplicaSet.Name {
			collisions := int32(1)
			if before := w.deployment.Status.CollisionCount; before != nil {
				collisions += *before
			}
			w.deployment.Status.CollisionCount = &collisions
			return false, nil
		}
	}
	if problem := w.charge(countedReplicaSet); problem != nil {
		w.waits.note(*problem)
		return false, nil
	}
	made := a.ReplicaSet.DeepCopy()
	made.UID, made.Generation = w.newUID(), 1
	made.CreationTimestamp = metav1.NewTime(w.now)
	w.sets[made.UID] = made
	size := int32(0)
	if made.Spec.Replicas != nil {
		size = *made.Spec.Replicas
	}
	return true, &Step{ReplicaSet: made.Name, New: true, Verb: "create", To: size, Cause: a.Cause}
}

// exceeded tells whether the progress deadline has passed.
func exceeded(status appsv1.DeploymentStatus) bool {
	return slices.ContainsFunc(status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentProgressing && c.Reason == rollout.ProgressDeadlineExceeded
	})
}
