package rollout

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Annotations of the Deployment controller, as Kubernetes names them.
const (
	RevisionAnnotation        = "deployment.kubernetes.io/revision"
	RevisionHistoryAnnotation = "deployment.kubernetes.io/revision-history"
	DesiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas"
	MaxReplicasAnnotation     = "deployment.kubernetes.io/max-replicas"
)

// notCopied are annotations of a Deployment that its ReplicaSets do not get.
var notCopied = map[string]bool{
	corev1.LastAppliedConfigAnnotation: true,
	RevisionAnnotation:                 true,
	RevisionHistoryAnnotation:          true,
	DesiredReplicasAnnotation:          true,
	MaxReplicasAnnotation:              true,
	appsv1.DeprecatedRollbackTo:        true,
}

// revisionHistoryLimitBytes bounds the list of revisions that one ReplicaSet
// has had before.
const revisionHistoryLimitBytes = 2000

// syncRevisions gives the new ReplicaSet the next revision, and the
// Deployment the same. With create, a missing new ReplicaSet is made.
func (w *wave) syncRevisions(create bool) {
	revision := w.lastRevision() + 1
	switch {
	case w.next != nil:
		w.renew(revision)
	case create:
		w.create(revision)
	default:
		return
	}
	now := w.next.annotations[RevisionAnnotation]
	if now == "" {
		now = w.next.Annotations[RevisionAnnotation]
	}
	if now != "" && w.deployment.Annotations[RevisionAnnotation] != now {
		w.actions = append(w.actions, Annotate{map[string]string{RevisionAnnotation: now}, "the new ReplicaSet has this revision"})
	}
}

// lastRevision is the highest of the old ReplicaSets, the one before that of
// the new; 0 if there is none.
func (w *wave) lastRevision() int64 {
	revision := int64(0)
	for _, rs := range w.old {
		revision = max(revision, revisionOf(rs.Annotations))
	}
	return revision
}

// renew brings an existing new ReplicaSet up to date: a rolled-back template
// gets the next revision, and the list of those it had before grows.
func (w *wave) renew(revision int64) {
	rs := w.next
	w.copyAnnotations(rs)
	before := revisionOf(rs.Annotations)
	if before < revision {
		rs.annotate(RevisionAnnotation, strconv.FormatInt(revision, 10))
		rs.cause = "its template is the Deployment's again"
		if before > 0 {
			rs.annotate(RevisionHistoryAnnotation, appendRevision(rs.Annotations[RevisionHistoryAnnotation], before))
		}
	}
	rs.minReady = w.deployment.Spec.MinReadySeconds
	current := w.condition(appsv1.DeploymentProgressing)
	if before < revision || current == nil || current.Reason == ReplicaSetCreateError {
		w.beginProgress(current)
	}
}

// create makes the ReplicaSet of the template, with as many Pods as there is
// room for at once.
func (w *wave) create(revision int64) {
	d := w.deployment
	hash := Hash(&d.Spec.Template, d.Status.CollisionCount)
	template, selector := d.Spec.Template, *d.Spec.Selector
	template.Labels = withLabel(template.Labels, hash)
	selector.MatchLabels = withLabel(selector.MatchLabels, hash)
	made := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name:            setName(d.Name, hash),
			Namespace:       d.Namespace,
			Labels:          maps.Clone(template.Labels),
			Annotations:     map[string]string{RevisionAnnotation: strconv.FormatInt(revision, 10)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{MinReadySeconds: d.Spec.MinReadySeconds, Selector: &selector, Template: template},
	}
	w.next = &replicaSet{ReplicaSet: made, minReady: d.Spec.MinReadySeconds, created: true, cause: "the template is new"}
	w.all = append(w.all, w.next)
	w.copyAnnotations(w.next)
	w.next.replicas = w.roomForNew()
	w.noteSize(w.next)
	// One made right after another has time of its own; upstream gives it what
	// is left of the other's, under the other's name.
	w.renewProgress(w.condition(appsv1.DeploymentProgressing), NewReplicaSetCreated, fmt.Sprintf("Created new replica set %q", made.Name))
}

// setName is the name of a ReplicaSet. Of a Deployment's name that leaves no
// room for the hash, the end is left out.
func setName(deployment, hash string) string {
	room := validation.DNS1123SubdomainMaxLength - len(hash) - 1
	// No part of a name may begin with the dash.
	return strings.TrimRight(deployment[:min(len(deployment), room)], ".") + "-" + hash
}

// withLabel is a copy of labels with the hash.
func withLabel(labels map[string]string, hash string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return labels
}

// copyAnnotations gives a ReplicaSet the Deployment's annotations, among them
// kubernetes.io/change-cause.
func (w *wave) copyAnnotations(rs *replicaSet) {
	for key, value := range w.deployment.Annotations {
		if !notCopied[key] {
			rs.annotate(key, value)
		}
	}
}

// noteSize writes the numbers from which a later rescaling is shared out.
func (w *wave) noteSize(rs *replicaSet) {
	rs.annotate(DesiredReplicasAnnotation, strconv.Itoa(int(w.wanted())))
	rs.annotate(MaxReplicasAnnotation, strconv.FormatInt(w.most(), 10))
}

// revisionOf is 0 where there is none, or none that makes sense: the largest
// number could have no next one.
func revisionOf(annotations map[string]string) int64 {
	revision, err := strconv.ParseInt(annotations[RevisionAnnotation], 10, 64)
	if err != nil || revision == math.MaxInt64 {
		return 0
	}
	return max(0, revision)
}

// appendRevision keeps the newest revisions that fit.
func appendRevision(history string, revision int64) string {
	list := strconv.FormatInt(revision, 10)
	if history != "" {
		list = history + "," + list
	}
	for len(list) > revisionHistoryLimitBytes {
		_, list, _ = strings.Cut(list, ",")
	}
	return list
}
