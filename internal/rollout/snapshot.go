package rollout

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is everything that Decide sees. It is not changed.
type Snapshot struct {
	Now time.Time
	// Since is from when on somebody has watched, by the clock of Now: what
	// progress there was before may have been missed. Zero is always.
	Since      time.Time
	Deployment *appsv1.Deployment
	// ReplicaSets are those that the Deployment controls, and those that
	// match its selector and have no controller. In any order.
	ReplicaSets []*appsv1.ReplicaSet
	// Pods are the Pods of each ReplicaSet, by its UID. Only Recreate needs
	// them; they may be left out otherwise.
	Pods map[types.UID][]*corev1.Pod
}

// Decision is what Decide wants done. The order is: Actions as listed, each
// with its event when it has succeeded, then Status, then Events.
type Decision struct {
	Actions []Action
	// Status is the whole wanted status, equal to the snapshot's if there is
	// nothing to write.
	Status appsv1.DeploymentStatus
	// Events are those that belong to no action, to be recorded at the end.
	Events []Event
	// WakeAt is when to decide again although nothing has changed; zero if
	// there is nothing to wait for.
	WakeAt time.Time
}

// Event is recorded on the Deployment.
type Event struct {
	// Type is corev1.EventTypeNormal or EventTypeWarning.
	Type, Reason, Message string
}
