package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is everything that Decide sees. It is not changed.
type Snapshot struct {
	Now    time.Time
	Budget *policyv1.PodDisruptionBudget
	// Pods are all of the budget's namespace; those that it selects count.
	Pods []*corev1.Pod
	// Workloads are the controllers of these Pods, and the controllers of
	// those, by UID. What is gone, or has no scale, is not there.
	Workloads map[types.UID]Workload
}

// Workload is a Deployment, a ReplicaSet or a ReplicationController.
type Workload struct {
	// Replicas is how many Pods it wants.
	Replicas int32
	// Owner is the Deployment that it belongs to; empty for none.
	Owner types.UID
}

// Decision is what is to become of a budget.
type Decision struct {
	// Status is what the budget's is to be. Changed is false if it is that
	// already: then there is nothing to write, and nothing to tell.
	Status  policyv1.PodDisruptionBudgetStatus
	Changed bool
	// Events are to be told when the status has been written.
	Events []Event
	// WakeAt is when a Pod that was let go, and is still there, counts again;
	// zero if there is none.
	WakeAt time.Time
}

// Event is something to tell about the budget, or about a Pod of its.
type Event struct {
	Pod *corev1.Pod // nil for the budget
	// Type is Normal or Warning.
	Type, Reason, Message string
}

// Covers tells whether a budget selects a Pod of its namespace. Without a
// selector it selects none, with an empty one all.
func Covers(budget *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	return err == nil && budget.Namespace == pod.Namespace && selector.Matches(labels.Set(pod.Labels))
}

// isReady is what makes a Pod healthy.
func isReady(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
