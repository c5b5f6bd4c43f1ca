package rollout

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Decide is the whole Deployment controller. It reads nothing but its argument.
func Decide(s Snapshot) Decision {
	w := newWave(s)
	selector, err := selectorOf(s.Deployment.Spec.Selector)
	if err != nil {
		w.refuseSelector(err)
		return w.decision()
	}
	if w.claim(selector) {
		return w.decision()
	}
	w.find()
	if s.Deployment.DeletionTimestamp != nil {
		w.writeStatus()
		return w.decision()
	}
	w.notePause()
	switch {
	case s.Deployment.Spec.Paused:
		w.syncRevisions(false)
		w.scale()
		if _, asked := rollbackTo(s.Deployment); !asked {
			w.cleanUp() // it might forget what is asked for
		}
		w.writeStatus()
	case w.rollBack():
	case w.wasRescaled():
		w.syncRevisions(false)
		w.scale()
		w.writeScaledStatus()
	case s.Deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		w.recreate()
	default:
		w.rollingUpdate()
	}
	return w.decision()
}

// selectorOf is a label selector ready to match, and never one that matches
// everything or cannot match. One of labels only, as almost all are, needs no
// parsing.
func selectorOf(selector *metav1.LabelSelector) (labels.Selector, error) {
	switch {
	case selector == nil || len(selector.MatchExpressions) == 0 && len(selector.MatchLabels) == 0:
		return nil, errSelectsAll
	case len(selector.MatchExpressions) == 0:
		return labels.ValidatedSetSelector(selector.MatchLabels), nil
	default:
		return metav1.LabelSelectorAsSelector(selector)
	}
}

var errSelectsAll = errors.New("the selector is empty")

// refuseSelector says once for every generation that a Deployment is left
// alone. Validation refuses such a selector, so that only an object written
// around the API has one.
func (w *wave) refuseSelector(err error) {
	if w.deployment.Status.ObservedGeneration >= w.deployment.Generation {
		return
	}
	// What is wrong with it is said by err, but each time in another order.
	event := Event{corev1.EventTypeWarning, "InvalidSelector", "This deployment has an invalid label selector."}
	if errors.Is(err, errSelectsAll) {
		event.Reason, event.Message = "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required."
	}
	w.events = append(w.events, event)
	status := w.deployment.Status
	status.ObservedGeneration = w.deployment.Generation
	w.status = &status
}

// wave is one Decide under way.
type wave struct {
	now        time.Time
	deployment *appsv1.Deployment
	// next is the ReplicaSet with the Deployment's template, nil if there is
	// none yet; old are all others, the oldest first. Their copies are
	// changed here, and compared with the snapshot at the end.
	next *replicaSet
	old  []*replicaSet
	// all are the old ones and the new.
	all  []*replicaSet
	snap Snapshot

	actions    []Action
	events     []Event
	conditions []appsv1.DeploymentCondition
	status     *appsv1.DeploymentStatus
	wakeAt     time.Time
}

// replicaSet is a ReplicaSet with what this wave makes of it.
type replicaSet struct {
	*appsv1.ReplicaSet
	replicas    int32
	annotations map[string]string // to be written, nil for none
	minReady    int32
	cause       string
	// created and forgotten tell that it is made, or deleted, by this wave.
	created, forgotten bool
}

func viewOf(rs *appsv1.ReplicaSet) *replicaSet {
	return &replicaSet{ReplicaSet: rs, replicas: size(rs.Spec.Replicas), minReady: rs.Spec.MinReadySeconds}
}

// observed tells whether its status knows the size that it was told last.
// Until then, Pods that it counts may be on their way out, and others not be
// seen.
func (rs *replicaSet) observed() bool { return rs.Generation <= rs.Status.ObservedGeneration }

// available is how many available Pods it will have for certain when it has its
// size. Of those that go, the not ready are the first; among the ready it may
// be the available ones that go, and not those that minReadySeconds holds back.
func (rs *replicaSet) available() int32 {
	if !rs.observed() {
		return 0
	}
	ready := max(rs.Status.ReadyReplicas, rs.Status.AvailableReplicas)
	return max(0, rs.Status.AvailableReplicas-max(0, ready-rs.replicas))
}

// size is a count as it is meant: 1 where it is left out, never negative.
func size(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return max(0, *replicas)
}

func newWave(s Snapshot) *wave {
	s.ReplicaSets = oldestFirst(s.ReplicaSets)
	return &wave{now: s.Now, deployment: s.Deployment, snap: s, conditions: slices.Clone(s.Deployment.Status.Conditions)}
}

// claim settles which ReplicaSets are the Deployment's. It returns true if one
// was adopted or released: the rest is decided when that is done.
func (w *wave) claim(selector labels.Selector) bool {
	for _, rs := range w.snap.ReplicaSets {
		owned := metav1.IsControlledBy(rs, w.deployment)
		matches := selector.Matches(labels.Set(rs.Labels))
		switch {
		case owned && !matches && rs.DeletionTimestamp == nil && w.deployment.DeletionTimestamp == nil:
			w.actions = append(w.actions, Release{refOf(rs), "its labels do not match the selector any more"})
		case !owned && matches && metav1.GetControllerOf(rs) == nil && rs.DeletionTimestamp == nil && w.deployment.DeletionTimestamp == nil:
			w.actions = append(w.actions, Adopt{refOf(rs), "its labels match the selector, and nothing controls it"})
		}
	}
	return len(w.actions) > 0
}

// find tells the new ReplicaSet from the old ones. Of several with the same
// template, the oldest is the new one, so that all agree on which.
func (w *wave) find() {
	for _, rs := range w.snap.ReplicaSets {
		if !metav1.IsControlledBy(rs, w.deployment) {
			continue
		}
		if w.next == nil && sameTemplate(&rs.Spec.Template, &w.deployment.Spec.Template) {
			w.next = viewOf(rs)
			continue
		}
		w.old = append(w.old, viewOf(rs))
	}
	w.all = slices.Clone(w.old)
	if w.next != nil {
		w.all = append(w.all, w.next)
	}
}

// annotate notes an annotation to be written.
func (rs *replicaSet) annotate(key, value string) {
	if rs.annotations == nil {
		rs.annotations = map[string]string{}
	}
	rs.annotations[key] = value
}

// oldestFirst sorts a copy; names decide between those of one second.
func oldestFirst(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	sets = slices.Clone(sets)
	slices.SortFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return sets
}

// sameTemplate compares by meaning, and leaves out the hash that we add.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	if !sameImages(a.Spec.Containers, b.Spec.Containers) {
		return false // most old templates differ so, and this is cheap
	}
	metaA, metaB := a.ObjectMeta, b.ObjectMeta
	metaA.Labels, metaB.Labels = withoutHash(a.Labels), withoutHash(b.Labels)
	return sameMeaning(&a.Spec, &b.Spec) && sameMeaning(&metaA, &metaB)
}

// sameMeaning takes what is left out and what is empty for the same. What is
// the same anyway is found faster.
func sameMeaning[T any](a, b *T) bool {
	return reflect.DeepEqual(a, b) || equality.Semantic.DeepEqual(a, b)
}

func sameImages(a, b []corev1.Container) bool {
	return slices.EqualFunc(a, b, func(a, b corev1.Container) bool { return a.Image == b.Image })
}

func withoutHash(labels map[string]string) map[string]string {
	if _, set := labels[appsv1.DefaultDeploymentUniqueLabelKey]; !set {
		return labels
	}
	labels = maps.Clone(labels)
	delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return labels
}

func (w *wave) wanted() int32 { return size(w.deployment.Spec.Replicas) }

// resize notes a new size, with the annotations from which a later change of
// the Deployment's size is shared out.
func (w *wave) resize(rs *replicaSet, replicas int32, cause string) bool {
	if rs.replicas == replicas {
		return false
	}
	rs.replicas, rs.cause = max(0, replicas), cause
	w.noteSize(rs)
	return true
}

// decision turns what was noted into actions. The ReplicaSets come first: the
// Deployment's revision says which one there is, and an old one, which tells
// what the next revision is, goes only when the new one is there.
func (w *wave) decision() Decision {
	var sets []Action
	for _, rs := range w.all {
		if rs.forgotten {
			continue
		}
		if action := w.actionFor(rs); action != nil {
			sets = append(sets, action)
		}
	}
	w.actions = append(sets, w.actions...)
	status := w.deployment.Status
	if w.status != nil {
		status = *w.status
	}
	return Decision{Actions: w.actions, Status: status, Events: w.events, WakeAt: w.wakeAt}
}

func (w *wave) actionFor(rs *replicaSet) Action {
	before := size(rs.Spec.Replicas)
	if rs.created {
		made := rs.ReplicaSet
		made.Spec.Replicas = &rs.replicas
		maps.Copy(made.Annotations, rs.annotations)
		return Create{made, scaledEvent(made.Name, 0, rs.replicas), rs.cause}
	}
	changed := map[string]string{}
	for key, value := range rs.annotations {
		if now, set := rs.Annotations[key]; !set || now != value {
			changed[key] = value
		}
	}
	if rs.replicas == before && len(changed) == 0 && rs.minReady == rs.Spec.MinReadySeconds {
		return nil
	}
	cause := rs.cause
	if cause == "" {
		cause = "it follows the Deployment's settings"
	}
	return Update{refOf(rs.ReplicaSet), before, rs.replicas, changed, rs.minReady, scaledEvent(rs.Name, before, rs.replicas), cause}
}
