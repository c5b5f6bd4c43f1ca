package podlifecycle

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Decision is all that Decide wants.
type Decision struct {
	// Actions may be begun at once, side by side.
	Actions []Action
	// Probes are those that have to run; any other is stopped.
	Probes []Probe
	Status corev1.PodStatus
	Events []Event
	// WakeAt is when to decide again if nothing happens before; zero means that
	// only a change matters.
	WakeAt time.Time
}

// Action is one of the types below.
type Action interface {
	// Key names the action: no two with the same key run at a time.
	Key() string
	fmt.Stringer
}

type (
	// PrepareVolumes puts everything that the Pod mounts into its place.
	PrepareVolumes struct{}
	// MakeSandbox makes and starts the Pod's sandbox.
	MakeSandbox struct{ Attempt uint32 }
	// PullImage gets a container's image by its pull policy.
	PullImage struct{ Container string }
	// StartContainer makes and starts a container, and runs its postStart hook.
	StartContainer struct {
		Container, SandboxID string
		ImageRef             string
		// RestartCount, Backoff and Hash are to be written on the container.
		RestartCount int
		Backoff      time.Duration
		Hash         string
	}
	// KillContainer runs the preStop hook and stops a container: both together
	// take no longer than Grace.
	KillContainer struct {
		Container, ID, Reason string
		Grace                 time.Duration
	}
	// RemoveContainer removes a dead container with its log.
	RemoveContainer struct{ Container, ID string }
	// Unroute waits until no new connection is led to the Pod, and then, for
	// as long as Drain at most, until those it has are closed or idle.
	Unroute struct {
		IPs   []string
		Drain time.Duration
	}
	// Route waits until the Services lead new connections to the Pod.
	Route struct {
		IP       string
		Services []string
	}
	// StopSandbox ends a sandbox and gives back its address.
	StopSandbox struct{ ID string }
	// RemoveSandbox removes a sandbox with all containers in it.
	RemoveSandbox struct{ ID string }
	// TearDown unmounts and removes volumes, logs and cgroups.
	TearDown struct{}
	// DeletePod deletes the Pod from the API for good, once its final status
	// is written.
	DeletePod struct{}
)

func (PrepareVolumes) Key() string    { return "volumes" }
func (MakeSandbox) Key() string       { return "sandbox" }
func (a PullImage) Key() string       { return "pull/" + a.Container }
func (a StartContainer) Key() string  { return "start/" + a.Container }
func (a KillContainer) Key() string   { return "kill/" + a.ID }
func (a RemoveContainer) Key() string { return "remove/" + a.ID }
func (Unroute) Key() string           { return "unroute" }
func (Route) Key() string             { return "route" }
func (a StopSandbox) Key() string     { return "stop-sandbox/" + a.ID }
func (a RemoveSandbox) Key() string   { return "remove-sandbox/" + a.ID }
func (TearDown) Key() string          { return "tear-down" }
func (DeletePod) Key() string         { return "delete" }

func (PrepareVolumes) String() string { return "prepare volumes" }
func (a MakeSandbox) String() string  { return fmt.Sprintf("make sandbox, attempt %d", a.Attempt) }
func (a PullImage) String() string    { return "get image for " + a.Container }
func (a StartContainer) String() string {
	return fmt.Sprintf("start %s in %s, restart count %d, back-off %v", a.Container, a.SandboxID, a.RestartCount, a.Backoff)
}
func (a KillContainer) String() string {
	return fmt.Sprintf("kill %s (%s) within %v: %s", a.Container, a.ID, a.Grace, a.Reason)
}
func (a RemoveContainer) String() string { return fmt.Sprintf("remove %s (%s)", a.Container, a.ID) }
func (a Unroute) String() string {
	return fmt.Sprintf("unroute %s, drain for %v", strings.Join(a.IPs, ","), a.Drain)
}
func (a Route) String() string {
	return fmt.Sprintf("route %s by %s", a.IP, strings.Join(a.Services, ", "))
}
func (a StopSandbox) String() string   { return "stop sandbox " + a.ID }
func (a RemoveSandbox) String() string { return "remove sandbox " + a.ID }
func (TearDown) String() string        { return "tear down" }
func (DeletePod) String() string       { return "delete the Pod" }

// ProbeKind is what a probe is for.
type ProbeKind string

// The kinds of probes, as events name them.
const (
	Startup   ProbeKind = "Startup"
	Liveness  ProbeKind = "Liveness"
	Readiness ProbeKind = "Readiness"
)

// Probe is a probe that has to run.
type Probe struct {
	Container, ID string
	Kind          ProbeKind
}

// Event is to be recorded once for the state that the Decision leads to. The
// caller records only those that its last Decision did not have.
type Event struct {
	// Container is empty for an event about the whole Pod.
	Container       string
	Type            string
	Reason, Message string
}

// String is stable text: tests compare it.
func (d Decision) String() string {
	var text strings.Builder
	for _, action := range d.Actions {
		fmt.Fprintf(&text, "do: %s\n", action)
	}
	for _, probe := range d.Probes {
		fmt.Fprintf(&text, "probe: %s of %s (%s)\n", probe.Kind, probe.Container, probe.ID)
	}
	for _, event := range d.Events {
		fmt.Fprintf(&text, "event: %s %s %s %s\n", event.Type, event.Reason, event.Container, event.Message)
	}
	if !d.WakeAt.IsZero() {
		fmt.Fprintf(&text, "wake: %s\n", d.WakeAt.UTC().Format("15:04:05.000"))
	}
	writeStatus(&text, d.Status)
	return text.String()
}

func writeStatus(text *strings.Builder, status corev1.PodStatus) {
	fmt.Fprintf(text, "phase: %s", status.Phase)
	if status.Reason != "" || status.Message != "" {
		fmt.Fprintf(text, " (%s: %s)", status.Reason, status.Message)
	}
	if status.PodIP != "" {
		fmt.Fprintf(text, " ip %s", status.PodIP)
	}
	text.WriteString("\n")
	for _, condition := range status.Conditions {
		line := fmt.Sprintf("condition: %s %s %s %s", condition.Type, condition.Status, condition.Reason, condition.Message)
		text.WriteString(strings.TrimSpace(line) + "\n")
	}
	for _, list := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses} {
		for _, c := range list {
			fmt.Fprintf(text, "container: %s ready=%t started=%t restarts=%d now %s, before %s\n",
				c.Name, c.Ready, c.Started != nil && *c.Started, c.RestartCount, stateText(c.State), stateText(c.LastTerminationState))
		}
	}
}

func stateText(state corev1.ContainerState) string {
	switch {
	case state.Waiting != nil:
		return strings.TrimSpace(fmt.Sprintf("waiting %s %s", state.Waiting.Reason, state.Waiting.Message))
	case state.Running != nil:
		return "running"
	case state.Terminated != nil:
		return strings.TrimSpace(fmt.Sprintf("terminated %s %d %s", state.Terminated.Reason, state.Terminated.ExitCode, state.Terminated.Message))
	default:
		return "-"
	}
}
