package podlifecycle

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// RoutedCondition is written for Pods that Services lead to: a rollout counts
// such a Pod as available only when clients can reach it (SPEC N4).
const RoutedCondition corev1.PodConditionType = "coxswain.dev/routed"

// Reasons of RoutedCondition.
const (
	ReasonAwaitingProxies = "AwaitingProxies"
	ReasonNotAcknowledged = "NotAcknowledged"
)

// routed is the condition, if the Pod is to have it. It is False only between
// readiness and the proxies' word. A Pod that was ready before a Service came
// is not taken back: it has the condition when it is led to.
func (v *view) routed(ready corev1.PodCondition) (condition corev1.PodCondition, has bool) {
	if ready.Status != corev1.ConditionTrue || len(v.Services) == 0 || v.Pod.Spec.HostNetwork || v.sandbox == nil || len(v.sandbox.IPs) == 0 {
		return corev1.PodCondition{}, false
	}
	before, known := v.condition(RoutedCondition)
	if was, _ := v.conditionStatus(corev1.PodReady); was != corev1.ConditionTrue {
		before, known = untrue(ReasonAwaitingProxies, ""), true
	}
	if known && before.Status != corev1.ConditionFalse {
		return corev1.PodCondition{Status: before.Status, Reason: before.Reason, Message: before.Message}, true
	}
	switch v.Routed {
	case RoutedByAll:
		return truth(true), true
	case RoutedLate:
		message := fmt.Sprintf("not every Service leads to the Pod in time: %s", strings.Join(v.serviceNames(), ", "))
		v.event("", corev1.EventTypeWarning, "NotRouted", message)
		return corev1.PodCondition{Status: corev1.ConditionUnknown, Reason: ReasonNotAcknowledged, Message: message}, true
	}
	if v.Pod.DeletionTimestamp == nil && !v.Gone {
		v.do(Route{IP: v.sandbox.IPs[0], Services: v.serviceNames()})
	}
	return untrue(ReasonAwaitingProxies, ""), known
}

func (v *view) serviceNames() []string {
	var names []string
	for _, service := range v.Services {
		names = append(names, service.Name)
	}
	return names
}
