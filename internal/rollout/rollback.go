package rollout

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// rollbackTo is the revision that a Deployment is asked to go back to, by the
// annotation into which its old API versions' spec.rollbackTo was moved; 0 is
// the one before. What is no number asks for nothing.
func rollbackTo(d *appsv1.Deployment) (revision int64, asked bool) {
	revision, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedRollbackTo], 10, 64)
	return revision, err == nil
}

// rollBack answers a request for a rollback, and returns whether there is one.
// The template of now is numbered first, so that it can be gone back to. One
// that no ReplicaSet has yet is not begun: upstream begins it, with Pods beside
// those of the old template also where Recreate is to mix no versions.
func (w *wave) rollBack() bool {
	revision, asked := rollbackTo(w.deployment)
	if !asked {
		return false
	}
	w.syncRevisions(false)
	if len(w.actions) > 0 || w.next != nil && w.actionFor(w.next) != nil {
		w.writeStatus()
		return true
	}
	w.actions = append(w.actions, w.rollBackTo(revision))
	return true
}

// rollBackTo has upstream's reasons and messages.
func (w *wave) rollBackTo(revision int64) RollBack {
	if revision == 0 {
		if revision = w.lastRevision(); revision == 0 {
			return w.noRollBack("DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
		}
	}
	for _, rs := range w.all {
		switch {
		case revisionOf(rs.Annotations) != revision:
		case sameTemplate(&rs.Spec.Template, &w.deployment.Spec.Template):
			return w.noRollBack("DeploymentRollbackTemplateUnchanged",
				fmt.Sprintf("The rollback revision contains the same template as current deployment %q", w.deployment.Name))
		default:
			template := rs.Spec.Template
			template.Labels = withoutHash(template.Labels)
			return RollBack{
				Template: &template, Annotations: withoutRequest(RestoredAnnotations(w.deployment, rs.ReplicaSet)),
				Event: &Event{corev1.EventTypeNormal, "DeploymentRollback", fmt.Sprintf("Rolled back deployment %q to revision %d", w.deployment.Name, revision)},
				Cause: fmt.Sprintf("a rollback to revision %d is asked for", revision),
			}
		}
	}
	return w.noRollBack("DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.")
}

func (w *wave) noRollBack(reason, message string) RollBack {
	return RollBack{
		Annotations: withoutRequest(w.deployment.Annotations),
		Event:       &Event{corev1.EventTypeWarning, reason, message},
		Cause:       "the rollback that is asked for cannot be made",
	}
}

// withoutRequest is a copy of annotations.
func withoutRequest(annotations map[string]string) map[string]string {
	rest := map[string]string{}
	for key, value := range annotations {
		if key != appsv1.DeprecatedRollbackTo {
			rest[key] = value
		}
	}
	return rest
}
