package core

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"coxswain.dev/cox/internal/registry"
)

var podColumns = []metav1.TableColumnDefinition{
	registry.NameColumn,
	registry.Column("Ready", "string", "The aggregate readiness state of this pod for accepting traffic."),
	registry.Column("Status", "string", "The aggregate status of the containers in this pod."),
	registry.Column("Restarts", "string", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
	registry.AgeColumn,
	registry.WideColumn("IP", "string", corev1.PodStatus{}.SwaggerDoc()["podIP"]),
	registry.WideColumn("Node", "string", corev1.PodSpec{}.SwaggerDoc()["nodeName"]),
	registry.WideColumn("Nominated Node", "string", corev1.PodStatus{}.SwaggerDoc()["nominatedNodeName"]),
	registry.WideColumn("Readiness Gates", "string", corev1.PodSpec{}.SwaggerDoc()["readinessGates"]),
}

func podRow(pod *corev1.Pod) []any {
	summary := summarize(pod)
	ip := "<none>"
	if len(pod.Status.PodIPs) > 0 {
		ip = pod.Status.PodIPs[0].IP
	} else if pod.Status.PodIP != "" {
		ip = pod.Status.PodIP
	}
	return []any{
		pod.Name, fmt.Sprintf("%d/%d", summary.ready, summary.containers), summary.reason, summary.restartsText(),
		registry.Age(pod.CreationTimestamp), ip, orNone(pod.Spec.NodeName), orNone(pod.Status.NominatedNodeName), readinessGates(pod),
	}
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

func readinessGates(pod *corev1.Pod) string {
	if len(pod.Spec.ReadinessGates) == 0 {
		return "<none>"
	}
	met := 0
	for _, gate := range pod.Spec.ReadinessGates {
		if hasCondition(pod, gate.ConditionType) {
			met++
		}
	}
	return fmt.Sprintf("%d/%d", met, len(pod.Spec.ReadinessGates))
}

func hasCondition(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == kind {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// podSummary is a Pod in a line.
type podSummary struct {
	reason            string
	containers, ready int
	restarts          int
	lastRestart       metav1.Time
}

func (s podSummary) restartsText() string {
	if s.restarts == 0 || s.lastRestart.IsZero() {
		return strconv.Itoa(s.restarts)
	}
	return fmt.Sprintf("%d (%s ago)", s.restarts, duration.HumanDuration(time.Since(s.lastRestart.Time)))
}

// summarize finds the words that say what is going on in a Pod: the first
// thing that keeps it from running, or its phase.
func summarize(pod *corev1.Pod) podSummary {
	s := podSummary{reason: string(pod.Status.Phase), containers: len(pod.Spec.Containers)}
	if pod.Status.Reason != "" {
		s.reason = pod.Status.Reason
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	if !s.initializing(pod) || hasCondition(pod, corev1.PodInitialized) {
		s.running(pod)
	}
	switch {
	case pod.DeletionTimestamp != nil && pod.Status.Reason == "NodeLost":
		s.reason = "Unknown"
	case pod.DeletionTimestamp != nil && pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded:
		s.reason = "Terminating"
	}
	return s
}

// initializing looks at the init containers, and tells whether one of them is
// still to be waited for. Sidecars count as containers.
func (s *podSummary) initializing(pod *corev1.Pod) bool {
	sidecars := map[string]bool{}
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars[container.Name] = true
			s.containers++
		}
	}
	for i, status := range pod.Status.InitContainerStatuses {
		s.restarts += int(status.RestartCount)
		s.restartedAt(status)
		switch {
		case status.State.Terminated != nil && status.State.Terminated.ExitCode == 0:
			continue
		case sidecars[status.Name] && status.Started != nil && *status.Started:
			if status.Ready {
				s.ready++
			}
			continue
		case status.State.Terminated != nil:
			s.reason = "Init:" + terminatedReason(status.State.Terminated)
		case status.State.Waiting != nil && status.State.Waiting.Reason != "" && status.State.Waiting.Reason != "PodInitializing":
			s.reason = "Init:" + status.State.Waiting.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		return true
	}
	return false
}

// running looks at the containers.
func (s *podSummary) running(pod *corev1.Pod) {
	hasRunning := false
	restarts, last := 0, metav1.Time{}
	if len(pod.Spec.InitContainers) == 0 || len(pod.Status.InitContainerStatuses) == 0 {
		s.restarts = 0
	}
	for i := len(pod.Status.ContainerStatuses) - 1; i >= 0; i-- {
		status := pod.Status.ContainerStatuses[i]
		restarts += int(status.RestartCount)
		if terminated := status.LastTerminationState.Terminated; terminated != nil && last.Before(&terminated.FinishedAt) {
			last = terminated.FinishedAt
		}
		switch {
		case status.State.Waiting != nil && status.State.Waiting.Reason != "":
			s.reason = status.State.Waiting.Reason
		case status.State.Terminated != nil:
			s.reason = terminatedReason(status.State.Terminated)
		case status.Ready && status.State.Running != nil:
			hasRunning = true
			s.ready++
		}
	}
	s.restarts, s.lastRestart = s.sidecarRestarts(pod)+restarts, last
	// A finished container beside a running one says nothing about the Pod.
	if s.reason == "Completed" && hasRunning {
		s.reason = "NotReady"
		if hasCondition(pod, corev1.PodReady) {
			s.reason = "Running"
		}
	}
}

func (s *podSummary) sidecarRestarts(pod *corev1.Pod) int {
	total := 0
	for i, status := range pod.Status.InitContainerStatuses {
		if i < len(pod.Spec.InitContainers) && pod.Spec.InitContainers[i].RestartPolicy != nil {
			total += int(status.RestartCount)
		}
	}
	return total
}

func (s *podSummary) restartedAt(status corev1.ContainerStatus) {
	if terminated := status.LastTerminationState.Terminated; terminated != nil && s.lastRestart.Before(&terminated.FinishedAt) {
		s.lastRestart = terminated.FinishedAt
	}
}

func terminatedReason(state *corev1.ContainerStateTerminated) string {
	switch {
	case state.Reason != "":
		return state.Reason
	case state.Signal != 0:
		return fmt.Sprintf("Signal:%d", state.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", state.ExitCode)
	}
}
