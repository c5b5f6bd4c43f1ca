package podlifecycle

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owned are the conditions that the agent writes, in the order shown.
var owned = []corev1.PodConditionType{
	corev1.PodReadyToStartContainers,
	corev1.PodInitialized,
	corev1.PodReady,
	corev1.ContainersReady,
	corev1.PodScheduled,
	RoutedCondition,
}

// addConditions fills in the conditions; those of others are kept as they are.
func (v *view) addConditions(status *corev1.PodStatus) {
	wanted := map[corev1.PodConditionType]corev1.PodCondition{
		corev1.PodReadyToStartContainers: truth(v.sandbox != nil && (v.Pod.Spec.HostNetwork || len(v.sandbox.IPs) > 0)),
		corev1.PodInitialized:            v.initialized(status),
		corev1.ContainersReady:           v.containersReady(status),
		corev1.PodScheduled:              truth(true),
	}
	wanted[corev1.PodReady] = v.podReady(wanted[corev1.ContainersReady])
	if routed, has := v.routed(wanted[corev1.PodReady]); has {
		wanted[RoutedCondition] = routed
	}
	old := map[corev1.PodConditionType]corev1.PodCondition{}
	for _, condition := range v.Pod.Status.Conditions {
		old[condition.Type] = condition
		if !slices.Contains(owned, condition.Type) {
			status.Conditions = append(status.Conditions, condition)
		}
	}
	for _, kind := range owned {
		condition, has := wanted[kind]
		if !has {
			continue
		}
		condition.Type = kind
		condition.ObservedGeneration = v.Pod.Generation
		condition.LastTransitionTime = metav1.NewTime(v.Now)
		if before, known := old[kind]; known && before.Status == condition.Status {
			condition.LastTransitionTime = before.LastTransitionTime
		}
		status.Conditions = append(status.Conditions, condition)
	}
}

func truth(is bool) corev1.PodCondition {
	if is {
		return corev1.PodCondition{Status: corev1.ConditionTrue}
	}
	return corev1.PodCondition{Status: corev1.ConditionFalse}
}

func untrue(reason, message string) corev1.PodCondition {
	return corev1.PodCondition{Status: corev1.ConditionFalse, Reason: reason, Message: message}
}

func (v *view) initialized(status *corev1.PodStatus) corev1.PodCondition {
	if status.Phase == corev1.PodSucceeded {
		condition := truth(true)
		condition.Reason = "PodCompleted"
		return condition
	}
	if v.wasInitialized() || v.initsDone() {
		return truth(true)
	}
	var incomplete []string
	for i, c := range status.InitContainerStatuses {
		spec := &v.Pod.Spec.InitContainers[i]
		if isSidecar(spec) && (c.Started == nil || !*c.Started) || !isSidecar(spec) && !c.Ready {
			incomplete = append(incomplete, c.Name)
		}
	}
	return untrue("ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(incomplete, " ")))
}

func (v *view) containersReady(status *corev1.PodStatus) corev1.PodCondition {
	switch status.Phase {
	case corev1.PodSucceeded:
		return untrue("PodCompleted", "")
	case corev1.PodFailed:
		return untrue("PodFailed", "")
	}
	var unready []string
	for i, c := range status.InitContainerStatuses {
		if isSidecar(&v.Pod.Spec.InitContainers[i]) && !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	for _, c := range status.ContainerStatuses {
		if !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	if len(unready) > 0 {
		return untrue("ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " ")))
	}
	return truth(true)
}

// podReady also needs the conditions that the Pod names as readiness gates.
func (v *view) podReady(containers corev1.PodCondition) corev1.PodCondition {
	if containers.Status != corev1.ConditionTrue {
		return containers
	}
	var missing []string
	for _, gate := range v.Pod.Spec.ReadinessGates {
		switch status, known := v.conditionStatus(gate.ConditionType); {
		case !known:
			missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case status != corev1.ConditionTrue:
			missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, status))
		}
	}
	if len(missing) > 0 {
		return untrue("ReadinessGatesNotReady", strings.Join(missing, ", "))
	}
	return truth(true)
}

func (v *view) conditionStatus(kind corev1.PodConditionType) (corev1.ConditionStatus, bool) {
	condition, known := v.condition(kind)
	return condition.Status, known
}

// condition is what the Pod's status had last.
func (v *view) condition(kind corev1.PodConditionType) (corev1.PodCondition, bool) {
	for _, condition := range v.Pod.Status.Conditions {
		if condition.Type == kind {
			return condition, true
		}
	}
	return corev1.PodCondition{}, false
}

// OwnedConditions are the types of the conditions that a Decision has.
func OwnedConditions() []corev1.PodConditionType { return owned }
