package podlifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Snapshot is all that Decide sees. It changes nothing in it.
type Snapshot struct {
	Now time.Time
	// Since is when this agent began to look after the Pod. A start that an
	// earlier one asked for may end shortly after.
	Since time.Time
	// Pod is the newest version from the API. Its Status is what was published
	// last, and so what a restarted agent knows of the time before.
	Pod *corev1.Pod
	// Gone means that the API has no such Pod any more: what is left of it is
	// stopped and removed, and nothing is published.
	Gone bool
	// HostIPs are the node's addresses, the first one first.
	HostIPs []string
	// Sandboxes and Containers are what the runtime has, in any order.
	Sandboxes  []Sandbox
	Containers []Container
	// Probes has the results by container ID. A missing one is Unknown.
	Probes map[string]ProbeResults
	// Images has the outcome of the last try to get a container's image, by the
	// container's name. An entry is gone once a container was made with it.
	Images map[string]Image
	// Failures has the last failed try, by the action's Key. An entry is gone
	// once the same action succeeds or its cause may have changed.
	Failures map[string]Failure
	// VolumesReady means that everything the Pod mounts is in its place.
	VolumesReady bool
	// Unrouted means that no new connection reaches the Pod any more, or that
	// waiting for this has taken its bounded time.
	Unrouted bool
	// Services lead clients to the Pod when it is ready.
	Services []Service
	// Routed is what has come of Route since the Pod is ready.
	Routed Routed
	// TornDown means that volumes and cgroups of the Pod are gone.
	TornDown bool
	// Underway has the keys of actions that were begun and have not ended.
	Underway map[string]bool
}

// Service is one that selects the Pod.
type Service struct {
	// Name is namespace/name.
	Name string
	// Drain is the Service's DrainAnnotation, empty if it has none.
	Drain string
}

// Routed is the outcome of Route.
type Routed int

// The outcomes of Route.
const (
	// RoutedUnknown: there is none yet.
	RoutedUnknown Routed = iota
	// RoutedByAll: every Service leads to the Pod.
	RoutedByAll
	// RoutedLate: the bounded time for it is over.
	RoutedLate
)

// Sandbox is a Pod sandbox as the runtime shows it.
type Sandbox struct {
	ID        string
	Attempt   uint32
	CreatedAt time.Time
	Ready     bool
	// IPs is empty for a Pod on the host's network.
	IPs []string
}

// ContainerState is a container's state in the runtime.
type ContainerState string

// The states of CRI.
const (
	Created ContainerState = "created"
	Running ContainerState = "running"
	Exited  ContainerState = "exited"
	Unknown ContainerState = "unknown"
)

// Container is a container as the runtime shows it.
type Container struct {
	ID, Name, SandboxID string
	State               ContainerState
	CreatedAt           time.Time
	StartedAt           time.Time // zero if it never ran
	// FinishedAt is also set on one that was only created if it is known that
	// its start was given up.
	FinishedAt      time.Time
	ExitCode        int32
	Reason, Message string // of an exit
	// Image and ImageID are shown in the status.
	Image, ImageID string
	// User is who the container's first process runs as, nil if unknown.
	User *corev1.ContainerUser
	// RestartCount, Backoff and Hash were written on the container when it was
	// made: how often its name was started before, what the back-off was then,
	// and Hash of its definition.
	RestartCount int
	Backoff      time.Duration
	Hash         string
}

// ProbeResult is the outcome of a probe after its thresholds.
type ProbeResult int

// The outcomes of a probe.
const (
	ProbeUnknown ProbeResult = iota
	ProbeSucceeded
	ProbeFailed
)

// ProbeResults are those of one running container.
type ProbeResults struct{ Startup, Liveness, Readiness ProbeResult }

// Image is the outcome of the last try to get an image.
type Image struct {
	// Ref is what the runtime knows the image by; empty means that the try failed.
	Ref string
	// Reason and Message say why it failed, as a waiting container shows it.
	Reason, Message string
	At              time.Time
	// Backoff is how long to wait after At before the next try.
	Backoff time.Duration
}

// Failure is the outcome of a failed action.
type Failure struct {
	// Reason and Message are shown by a waiting container.
	Reason, Message string
	At              time.Time
	// Backoff is how long to wait after At before the next try.
	Backoff time.Duration
}
