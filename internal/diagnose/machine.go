package diagnose

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// firewallCondition is the condition of a Node that tells whether the other
// firewalls of its machine let Pods through.
const firewallCondition corev1.NodeConditionType = "coxswain.dev/firewall"

// Reasons of that condition.
const (
	noOtherFirewall = "NoOtherFirewall"
	podsLetThrough  = "PodsLetThrough"
	podsDropped     = "PodsDropped"
)

// sentenceEnd parts the sentences of the condition's message.
const sentenceEnd = ". "

// FirewallCondition says on a Node what its machine's other firewalls do to
// Pods: where they are let through, and what stops them.
func FirewallCondition(opened, closed []string, at metav1.Time) corev1.NodeCondition {
	condition := corev1.NodeCondition{
		Type: firewallCondition, Status: corev1.ConditionTrue, LastHeartbeatTime: at, LastTransitionTime: at,
		Reason: noOtherFirewall, Message: "no other firewall drops packets of Pods",
	}
	switch {
	case len(closed) > 0:
		condition.Status, condition.Reason, condition.Message = corev1.ConditionFalse, podsDropped, strings.Join(closed, sentenceEnd)
	case len(opened) > 0:
		condition.Reason, condition.Message = podsLetThrough, strings.Join(opened, sentenceEnd)
	}
	return condition
}

// Node says what of a Node's machine keeps Pods from being reached, and tells
// what was done about it.
func Node(node *corev1.Node) (findings []Finding, notes []string) {
	for _, condition := range node.Status.Conditions {
		switch {
		case condition.Type != firewallCondition:
		case condition.Status == corev1.ConditionFalse:
			findings = append(findings, Finding{condition.Message, "it is looked at again whenever that firewall changes"})
		case condition.Reason == podsLetThrough:
			notes = append(notes, strings.Split(condition.Message, sentenceEnd)...)
		}
	}
	return findings, notes
}
