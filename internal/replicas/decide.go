package replicas

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Burst is how many Pods one decision makes or deletes at most, so that one
// set does not keep all others waiting.
const Burst = 500

// Set is a ReplicaSet or a ReplicationController.
type Set struct {
	Kind schema.GroupVersionKind
	Meta metav1.ObjectMeta
	// Replicas is how many Pods are wanted.
	Replicas        int32
	Selector        labels.Selector
	Template        *corev1.PodTemplateSpec
	MinReadySeconds int32
	Status          Status
}

// Status is what both kinds show.
type Status struct {
	Replicas, FullyLabeledReplicas, ReadyReplicas, AvailableReplicas int32
	// TerminatingReplicas are Pods on their way out, which Replicas does not
	// count (KEP-3973).
	TerminatingReplicas int32
	ObservedGeneration  int64
	// Failure is why Pods could not be made or deleted; nil if they could.
	Failure *Failure
}

// Failure is the ReplicaFailure condition.
type Failure struct {
	// Reason is FailedCreate or FailedDelete.
	Reason, Message string
	Since           metav1.Time
}

// Snapshot is everything that Decide sees. It is not changed.
type Snapshot struct {
	Now time.Time
	Set *Set
	// Pods are those that the set controls, and those that match its selector
	// and have no controller.
	Pods []*corev1.Pod
	// Related are Pods of other sets of the same owner: of two nodes, Pods go
	// from the one that has more.
	Related []*corev1.Pod
	// Failed is what became of the last attempt to make or delete Pods; nil
	// if it went well.
	Failed *Failure
}

// PodRef names a Pod and the state it was seen in.
type PodRef struct {
	Name            string
	UID             types.UID
	ResourceVersion string
}

// Decision is what Decide wants done: Adopt and Release first, then either
// Create or Delete, then Status.
type Decision struct {
	Adopt, Release []PodRef
	// Create is how many Pods are to be made from the template.
	Create int
	Delete []PodRef
	Status Status
	// WakeAt is when a ready Pod becomes available by time alone; zero if
	// there is none.
	WakeAt time.Time
}

// Decide is the whole controller of a set. It reads nothing but its argument.
func Decide(s Snapshot) Decision {
	if !selects(s.Set.Selector) {
		status := s.Set.Status
		status.ObservedGeneration = s.Set.Meta.Generation
		return Decision{Status: status}
	}
	var d Decision
	own := claim(s, &d)
	active := slices.DeleteFunc(slices.Clone(own), func(pod *corev1.Pod) bool { return !isActive(pod) })
	if s.Set.Meta.DeletionTimestamp == nil {
		switch missing := int(max(0, s.Set.Replicas)) - len(active); {
		case missing > 0 && makesStrangers(s.Set):
			s.Failed = cmp.Or(s.Failed, strangers(s.Now))
		case missing > 0:
			d.Create = min(missing, Burst)
		case missing < 0:
			d.Delete = cheapest(active, append(slices.Clone(active), s.Related...), min(-missing, Burst), s.Now)
		}
	}
	d.Status = status(s, own, active)
	d.WakeAt = nextAvailable(active, s.Set.MinReadySeconds, s.Now)
	return d
}

// selects tells whether a selector selects some Pods and not others. Validation
// refuses the rest, so that only a set written around the API has one: it would
// take every Pod that is nobody's, or make Pods for ever of which none is its own.
func selects(selector labels.Selector) bool {
	requirements, can := selector.Requirements()
	return can && len(requirements) > 0
}

// makesStrangers tells whether a set would make Pods that are not its own, and
// more and more of them. Validation refuses it too.
func makesStrangers(set *Set) bool {
	return set.Template != nil && !set.Selector.Matches(labels.Set(set.Template.Labels))
}

func strangers(now time.Time) *Failure {
	return &Failure{"FailedCreate", "the labels of spec.template do not match spec.selector: its Pods would not belong to it", metav1.NewTime(now).Rfc3339Copy()}
}

// claim settles which Pods are the set's. Only active Pods change hands, and
// none do while the set is being deleted.
func claim(s Snapshot, d *Decision) []*corev1.Pod {
	var own []*corev1.Pod
	deleting := s.Set.Meta.DeletionTimestamp != nil
	for _, pod := range sortedByName(s.Pods) {
		controller := metav1.GetControllerOfNoCopy(pod)
		matches := s.Set.Selector.Matches(labels.Set(pod.Labels))
		switch {
		case controller != nil && controller.UID == s.Set.Meta.UID:
			if matches {
				own = append(own, pod)
			} else if !deleting && isActive(pod) {
				d.Release = append(d.Release, refOf(pod))
			}
		case controller == nil && matches && !deleting && isActive(pod):
			d.Adopt = append(d.Adopt, refOf(pod))
			own = append(own, pod)
		}
	}
	return own
}

func sortedByName(pods []*corev1.Pod) []*corev1.Pod {
	return slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
}

func refOf(pod *corev1.Pod) PodRef { return PodRef{pod.Name, pod.UID, pod.ResourceVersion} }

// isActive tells whether a Pod counts: it has not ended and is to stay.
func isActive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && !hasEnded(pod)
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
