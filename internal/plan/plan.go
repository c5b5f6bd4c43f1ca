package plan

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"coxswain.dev/cox/internal/fielddiff"
)

// Input is everything that Make sees. It is not changed.
type Input struct {
	Now time.Time
	// Before is the Deployment as it is, nil if there is none; After is what
	// the API would store.
	Before, After *appsv1.Deployment
	// ReplicaSets are those of the namespace that After controls or may adopt.
	ReplicaSets []*appsv1.ReplicaSet
	// Pods are all there are, or as many as may be seen: those of ReplicaSets
	// are rolled, all take room on their nodes.
	Pods []*corev1.Pod
	// Nodes is nil if they may not be seen: then there is always room.
	Nodes []*corev1.Node
	// Namespaces are the labels of the namespaces by name.
	Namespaces map[string]labels.Set
	// Quotas are those of the namespace.
	Quotas []*corev1.ResourceQuota
	// Pod is what the API would make of a Pod of After's template; nil takes
	// the template as it stands.
	Pod *corev1.Pod
	// Refused is why the API would not take such a Pod, nil if it would.
	Refused *Problem
	// Unready are reasons for which such Pods would never become ready.
	Unready []Problem
	// Notes are further problems, which change nothing in the course of it.
	Notes []Problem
	Model Model
}

// Model is how Pods are taken to behave.
type Model struct {
	// ReadyAfter is the time from a Pod's placement until it is ready;
	// minReadySeconds comes after it.
	ReadyAfter time.Duration
	// StopAfter is the time from a Pod's deletion until it is gone, beside a
	// sleep that its preStop hook states, and never beyond its grace period.
	StopAfter time.Duration
}

// Plan is what an update will do.
type Plan struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Action    Action `json:"action"`
	// Paused tells that nothing of it begins before the rollout is resumed.
	Paused bool `json:"paused,omitempty"`
	// UnderWay tells that another rollout has not ended: the waves begin in
	// its middle.
	UnderWay bool `json:"underWay,omitempty"`
	// FromRevision is 0 for a new Deployment.
	FromRevision int64 `json:"fromRevision,omitempty"`
	ToRevision   int64 `json:"toRevision,omitempty"`
	// Settings are the differences outside the template, whose changes start
	// no rollout; paths are relative to spec. Template's are relative to
	// spec.template.
	Settings []fielddiff.Change `json:"settings,omitempty"`
	Template []fielddiff.Change `json:"template,omitempty"`
	// Metadata are the differences of the Deployment's own labels and
	// annotations, those left out that kubectl and the controller keep.
	Metadata []fielddiff.Change `json:"metadata,omitempty"`

	// Strategy and Pods are left out of JSON if the update is refused.
	Strategy Strategy  `json:"strategy,omitzero"`
	Pods     PodModel  `json:"podModel,omitzero"`
	Waves    []Wave    `json:"waves"`
	Outcome  Outcome   `json:"outcome"`
	Problems []Problem `json:"problems,omitempty"`
}

// Action is what is done to the Deployment.
type Action string

// What can be done to a Deployment.
const (
	Create Action = "create"
	Update Action = "update"
	// None is an update that changes nothing.
	None Action = "none"
)

// Strategy is how the Deployment replaces its Pods, with its bounds as counts.
type Strategy struct {
	Type     string `json:"type"`
	Replicas int32  `json:"replicas"`
	// MaxSurge and MaxUnavailable are as they are written, such as 25%; empty
	// for Recreate.
	MaxSurge       string `json:"maxSurge,omitempty"`
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
	// MostPods and LeastAvailable are what they come to.
	MostPods       int32 `json:"mostPods"`
	LeastAvailable int32 `json:"leastAvailable"`
}

// PodModel is the Model as the Plan states it.
type PodModel struct {
	ReadyAfterSeconds float64 `json:"readyAfterSeconds"`
	MinReadySeconds   int32   `json:"minReadySeconds,omitempty"`
	StopAfterSeconds  float64 `json:"stopAfterSeconds"`
}

// Wave is one decision of the Deployment controller that changes a ReplicaSet.
type Wave struct {
	// AtSeconds is the time since the update.
	AtSeconds float64 `json:"atSeconds"`
	Steps     []Step  `json:"steps"`
	Counts
}

// Step is one change to one ReplicaSet.
type Step struct {
	ReplicaSet string `json:"replicaSet"`
	// New tells whether the ReplicaSet has the new template.
	New  bool   `json:"new"`
	Verb string `json:"verb"`
	// From and To are sizes, for a scaling.
	From  int32  `json:"from"`
	To    int32  `json:"to"`
	Cause string `json:"cause"`
}

// Counts are the Pods when the ReplicaSets have done as they were told.
type Counts struct {
	// Old and New are Pods by template, Total both. Stopping ones, which have
	// been told to stop and are not gone, are in none of them.
	Old       int32 `json:"old"`
	New       int32 `json:"new"`
	Available int32 `json:"available"`
	Total     int32 `json:"total"`
	Stopping  int32 `json:"stopping"`
}

// State is how it ends.
type State string

// How it can end.
const (
	// Complete is a finished rollout.
	Complete State = "complete"
	// Late is one that finishes after its progress deadline.
	Late State = "late"
	// Stuck is one that never finishes by itself.
	Stuck State = "stuck"
	// Refused is an update that the API does not take.
	Refused State = "refused"
)

// Outcome is how it ends.
type Outcome struct {
	State State `json:"state"`
	// AfterSeconds is when it is complete, or when nothing moves any more.
	AfterSeconds float64 `json:"afterSeconds"`
	// DeadlineAfterSeconds is when progressDeadlineSeconds has passed without
	// progress; 0 if that does not happen.
	DeadlineAfterSeconds float64 `json:"deadlineAfterSeconds,omitempty"`
	// MostPods and LeastAvailable are the extremes on the way.
	MostPods       int32 `json:"mostPods"`
	LeastAvailable int32 `json:"leastAvailable"`
	// Final are the counts at the end.
	Final Counts `json:"final"`
}

// Problem is what stands in the way of an update.
type Problem struct {
	// Stops tells that the update does not finish because of it; otherwise it
	// is only to be known.
	Stops bool `json:"stops"`
	// Cause is the kind of thing that is in the way, such as ResourceQuota,
	// Node or ConfigMap.
	Cause string `json:"cause"`
	// Message is in the words of whoever refuses; Advice is what to do.
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
}

// NewRefused is the Plan of an update that the API does not take.
func NewRefused(namespace, name string, before *appsv1.Deployment, problems ...Problem) Plan {
	p := Plan{Namespace: namespace, Name: name, Action: Update, Waves: []Wave{}, Outcome: Outcome{State: Refused}, Problems: problems}
	if before == nil {
		p.Action = Create
	}
	return p
}
