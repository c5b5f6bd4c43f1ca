package sim

import (
	"maps"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/rollout"
)

// web is the Deployment that the users have.
const web = "web"

// userAction is something that users do. It returns false where it makes no
// sense now.
type userAction struct {
	name   string
	weight int
	do     func(w *World, d *appsv1.Deployment) bool
}

var userActions = []userAction{
	{"scales", 20, func(w *World, d *appsv1.Deployment) bool { d.Spec.Replicas = new(int32(w.pick(7))); return true }},
	{"changes the template", 25, func(w *World, d *appsv1.Deployment) bool { return w.edit(d) }},
	{"pauses", 8, func(_ *World, d *appsv1.Deployment) bool { d.Spec.Paused = true; return true }},
	{"resumes", 8, func(_ *World, d *appsv1.Deployment) bool { d.Spec.Paused = false; return true }},
	{"undoes", 12, undo},
	{"changes the strategy", 8, func(w *World, d *appsv1.Deployment) bool { d.Spec.Strategy = w.strategy(); return true }},
	{"changes the history limit", 3, func(w *World, d *appsv1.Deployment) bool {
		d.Spec.RevisionHistoryLimit = new(int32(w.pick(4)))
		return true
	}},
	{"changes minReadySeconds", 3, func(w *World, d *appsv1.Deployment) bool { d.Spec.MinReadySeconds = w.minReady(); return true }},
	{"changes the replacement of Pods", 3, func(w *World, d *appsv1.Deployment) bool {
		delete(d.Annotations, rollout.PodReplacementPolicyAnnotation)
		if policy := w.pick(3); policy > 0 {
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, rollout.PodReplacementPolicyAnnotation,
				[...]string{"", rollout.TerminationStarted, rollout.TerminationComplete}[policy])
		}
		return true
	}},
	{"asks for a rollback", 3, func(w *World, d *appsv1.Deployment) bool {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, appsv1.DeprecatedRollbackTo, strconv.Itoa(w.pick(6)))
		return true
	}},
	{"changes the deadline", 3, func(w *World, d *appsv1.Deployment) bool { d.Spec.ProgressDeadlineSeconds = w.deadline(); return true }},
}

// aside are actions on something else than the Deployment's own fields.
var aside = []userAction{
	{"deletes it", 2, func(w *World, d *appsv1.Deployment) bool { w.deployments.remove(d, w.nextVersion()); return true }},
	{"deletes it and leaves its ReplicaSets", 2, func(w *World, d *appsv1.Deployment) bool {
		deleted := d.DeepCopy()
		deleted.DeletionTimestamp = new(w.timestamp())
		deleted.Generation++
		w.putDeployment(nil, deleted)
		return true
	}},
	{"deletes a Pod", 3, func(w *World, _ *appsv1.Deployment) bool {
		return w.somePod(func(pod *corev1.Pod) { w.deletePod(pod, byOthers) })
	}},
	{"takes a Pod out by its labels", 2, func(w *World, _ *appsv1.Deployment) bool { return w.somePod(w.relabel) }},
	{"spoils an annotation", 2, spoil},
	{"has a Pod of another owner", 1, func(w *World, _ *appsv1.Deployment) bool { return w.makeForeign() }},
}

// userActs lets a user do something.
func (w *World) userActs() {
	d, exists := w.deployments.find(web)
	if !exists {
		w.createDeployment()
		return
	}
	if d.DeletionTimestamp != nil {
		return
	}
	actions, onFields := userActions, true
	if w.chance(20) {
		actions, onFields = aside, false
	}
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	at := w.pick(total)
	for _, a := range actions {
		if at -= a.weight; at >= 0 {
			continue
		}
		if !onFields {
			w.say("user %s: %t", a.name, a.do(w, d))
			return
		}
		w.changeDeployment(a.name, a.do)
		return
	}
}

// changeDeployment edits the Deployment as stored now.
func (w *World) changeDeployment(what string, change func(w *World, d *appsv1.Deployment) bool) {
	before, _ := w.deployments.find(web)
	after := editable(before)
	if change(w, after) {
		w.putDeployment(before, after)
		w.ghost.leastReady = min(w.ghost.leastReady, after.Spec.MinReadySeconds)
		w.sayOf("user "+what, after)
	}
}

// editable is a copy with all of its own that users change in place; the rest
// they replace.
func editable(d *appsv1.Deployment) *appsv1.Deployment {
	after := *d
	after.Annotations = maps.Clone(d.Annotations)
	after.Spec.Template.Spec.Containers = slices.Clone(d.Spec.Template.Spec.Containers)
	return &after
}

// sayOf tells what became of the Deployment.
func (w *World) sayOf(what string, d *appsv1.Deployment) {
	if w.trace != nil {
		w.say("%s: %s", what, describe(d))
	}
}

func describe(d *appsv1.Deployment) string {
	text := strconv.Itoa(int(*d.Spec.Replicas)) + " of " + d.Spec.Template.Spec.Containers[0].Image + ", " + string(d.Spec.Strategy.Type)
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		text += " surge " + r.MaxSurge.String() + " unavailable " + r.MaxUnavailable.String()
	}
	if d.Spec.Paused {
		text += ", paused"
	}
	return text
}

func (w *World) createDeployment() {
	labels := map[string]string{"app": web}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: web, Namespace: namespace, UID: w.nextUID(), Generation: 1, CreationTimestamp: w.timestamp()},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(w.pick(6))), Selector: &metav1.LabelSelector{MatchLabels: labels}, Strategy: w.strategy(),
			MinReadySeconds: w.minReady(), ProgressDeadlineSeconds: w.deadline(), RevisionHistoryLimit: new(int32(w.pick(4))),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: web, Image: "v1"}}},
			},
		},
	}
	w.putDeployment(nil, d)
	w.ghost.leastReady = min(w.ghost.leastReady, d.Spec.MinReadySeconds)
	w.sayOf("user creates it", d)
}

func (w *World) edit(d *appsv1.Deployment) bool {
	image := "v" + strconv.Itoa(1+w.pick(4))
	if w.chance(12) {
		image = badImage
	}
	d.Spec.Template.Spec.Containers[0].Image = image
	return true
}

// undo goes back to the newest older revision, as kubectl does.
func undo(w *World, d *appsv1.Deployment) bool {
	var to *appsv1.ReplicaSet
	for _, rs := range w.sets.live {
		if isControlledBy(rs, d.UID) && !rollout.IsCurrent(rs, d) && (to == nil || rollout.Revision(rs.Annotations) > rollout.Revision(to.Annotations)) {
			to = rs
		}
	}
	if to == nil {
		return false
	}
	d.Spec.Template = *to.Spec.Template.DeepCopy()
	delete(d.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return true
}

func (w *World) strategy() appsv1.DeploymentStrategy {
	if w.chance(20) {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	surge, unavailable := w.fence(), w.fence()
	if surge.String() == "0" && unavailable.String() == "0" {
		surge = intstr.FromInt32(1)
	}
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
	}
}

func (w *World) fence() intstr.IntOrString {
	if n := w.pick(6); n > 2 {
		return intstr.FromString([]string{"25%", "50%", "100%"}[n-3])
	} else {
		return intstr.FromInt32(int32(n))
	}
}

func (w *World) minReady() int32 { return []int32{0, 0, 0, 5}[w.pick(4)] }

func (w *World) deadline() *int32 { return new([]int32{600, 30, math.MaxInt32}[w.pick(3)]) }

// somePod does something to a Pod that is not another owner's.
func (w *World) somePod(do func(*corev1.Pod)) bool {
	count := len(w.pods.live)
	if count == 0 {
		return false
	}
	first := w.pick(count)
	for i := range count {
		if pod := w.pods.live[(first+i)%count]; !isControlledBy(pod, foreign) && isActive(pod) {
			w.say("  %s", pod.Name)
			do(pod)
			return true
		}
	}
	return false
}

// takenOut is the label of a Pod that a user took out of its set: one that no
// manifest can have.
const takenOut = "taken/out"

// relabel takes a Pod out of its set's selector, or back in.
func (w *World) relabel(pod *corev1.Pod) {
	labels := map[string]string{"app": takenOut, appsv1.DefaultDeploymentUniqueLabelKey: pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]}
	if pod.Labels["app"] == takenOut {
		labels["app"] = web
	} else {
		w.ghost.lost(w, pod)
	}
	w.ghost.relabeled = append(w.ghost.relabeled, pod.UID)
	w.changePod(pod, func(after *corev1.Pod) { after.Labels = labels })
}

// spoil writes nonsense into an annotation of the controller's.
func spoil(w *World, _ *appsv1.Deployment) bool {
	if len(w.sets.live) == 0 {
		return false
	}
	rs := w.sets.live[w.pick(len(w.sets.live))]
	annotations := map[string]string{}
	for key, value := range rs.Annotations {
		annotations[key] = value
	}
	key := []string{rollout.DesiredReplicasAnnotation, rollout.MaxReplicasAnnotation}[w.pick(2)]
	if value := []string{"x", "-1", "0", "9999999999", ""}[w.pick(5)]; value == "" {
		delete(annotations, key)
	} else {
		annotations[key] = value
	}
	w.changeSet(rs, func(after *appsv1.ReplicaSet) { after.Annotations = annotations })
	return true
}

// makeForeign makes a Pod that looks like a set's own and is another's.
func (w *World) makeForeign() bool {
	if len(w.sets.live) == 0 {
		return false
	}
	rs := w.sets.live[w.pick(len(w.sets.live))]
	w.makePod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "foreign-" + w.randomName(), Namespace: namespace, Labels: rs.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "other", UID: foreign, Controller: new(true)}},
		},
		Spec: rs.Spec.Template.Spec,
	})
	return true
}
