package autoscale

import (
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// Snapshot is all that a decision is made from.
type Snapshot struct {
	Now        time.Time
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// Scale is how large the target is; nil if that is not known, and
	// ScaleError says why.
	Scale      *autoscalingv1.Scale
	ScaleError string
	// Pods are those of the namespace that the Scale's selector selects, in any
	// order.
	Pods []*corev1.Pod
	// Usage is what they use, without those of which it is not known.
	// UsageError says why nothing could be asked.
	Usage      []Usage
	UsageError string
	// Rivals are the autoscalers (namespace/name) whose targets select one of
	// the Pods, sorted; this one is one of them.
	Rivals  []string
	History History
}

// Usage is what a Pod used on average in the Window that ended at End.
type Usage struct {
	Pod        string
	End        time.Time
	Window     time.Duration
	Containers []ContainerUsage
}

// ContainerUsage is what one container of a Pod used.
type ContainerUsage struct {
	Name string
	Used corev1.ResourceList
}

// History is what is remembered from decision to decision, oldest first. It may
// be empty: then nothing is scaled down before the stabilization window is over.
type History struct {
	Recommendations []Recommendation
	Changes         []Change
	// Told are the warnings that hold. They are not told again.
	Told []Event
}

// Recommendation is the size that the metrics asked for.
type Recommendation struct {
	At       time.Time
	Replicas int32
}

// Change is a size that was changed.
type Change struct {
	At time.Time
	// By is positive for a greater size.
	By int32
}

// Decision is what is to be done.
type Decision struct {
	// Rescale is nil where the size is to stay.
	Rescale *Rescale
	// Status is as it is to be when Rescale has worked; Refused tells it
	// otherwise.
	Status  autoscalingv2.HorizontalPodAutoscalerStatus
	Events  []Event
	History History
	// WakeAt is when to look again.
	WakeAt time.Time
}

// Rescale is a new size for the target.
type Rescale struct {
	Replicas int32
	// Reason is for people.
	Reason string
}

// Event is told about the autoscaler.
type Event struct {
	// Type is Normal or Warning.
	Type            string
	Reason, Message string
}

// The controller's settings, as kube-controller-manager has them.
const (
	// Period is how often an autoscaler is looked at.
	Period = 15 * time.Second
	// tolerance is how far a metric may be from its target, as a part of it,
	// before anything is done.
	tolerance = 0.1
	// downscaleWindow is how long a greater recommendation holds.
	downscaleWindow = 5 * time.Minute
	// cpuInitialization is how long after its start a Pod's processor use is
	// looked at with care: programs that start use much.
	cpuInitialization = 5 * time.Minute
	// initialReadiness is within which a Pod that becomes unready counts as one
	// that has never been ready.
	initialReadiness = 30 * time.Second
	// mostRemembered bounds a History, should somebody change an autoscaler all
	// the time.
	mostRemembered = 1000
)
