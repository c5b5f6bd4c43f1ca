package diagnose

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
	"coxswain.dev/cox/internal/policy"
)

// unready says why Pods get no connections: each reason once, with how many
// have it. Some that are not ready are no fault while others are.
func unready(service *corev1.Service, pods []*corev1.Pod) []Finding {
	reasons, of := map[string]int{}, map[string]string{}
	ready := 0
	for _, pod := range pods {
		if service.Spec.PublishNotReadyAddresses || isReady(pod) {
			ready++
			continue
		}
		reason := Reason(pod)
		reasons[reason]++
		if first := of[reason]; first == "" || pod.Name < first {
			of[reason] = pod.Name
		}
	}
	if ready > 0 || len(pods) == 0 {
		return nil
	}
	var texts []string
	for reason, count := range reasons {
		texts = append(texts, fmt.Sprintf("%d %s (%s)", count, reason, of[reason]))
	}
	slices.Sort(texts)
	consequence := ""
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		consequence = "; until then its name does not resolve"
	}
	first := slices.MinFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return []Finding{{
		fmt.Sprintf("none of its %d Pods is ready: %s%s", len(pods), strings.Join(texts, "; "), consequence),
		fmt.Sprintf("see kubectl describe pod %s, and kubectl logs %s", first.Name, first.Name),
	}}
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// Reason says why a Pod is not ready.
func Reason(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "on the way out"
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return "without a node: " + cmp.Or(condition.Message, condition.Reason)
		}
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		switch {
		case status.State.Waiting != nil && status.State.Waiting.Reason != "":
			return strings.TrimSuffix(fmt.Sprintf("waiting: %s: %s", status.State.Waiting.Reason, status.State.Waiting.Message), ": ")
		case status.State.Terminated != nil && status.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("ended with code %d", status.State.Terminated.ExitCode)
		}
	}
	for _, container := range pod.Spec.Containers {
		if container.ReadinessProbe != nil && pod.Status.Phase == corev1.PodRunning {
			return "running, but the readiness probe does not succeed"
		}
	}
	return strings.ToLower(string(cmp.Or(pod.Status.Phase, corev1.PodPending)))
}

// closed says when policies let nobody connect to any of the Pods.
func closed(s Snapshot, pods []*corev1.Pod) []Finding {
	isolated := false
	for _, pod := range pods {
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if err != nil {
			continue
		}
		decided := policy.Decide(policy.Snapshot{Pods: slices.Concat(s.Pods, s.Others), Namespaces: s.Namespaces, Policies: s.Policies, Node: pod.Spec.NodeName})
		if isolation := decided[addr]; !isolation.IngressIsolated || len(isolation.Ingress) > 1 {
			return nil // somebody but the Pod itself may connect
		}
		isolated = true
	}
	if !isolated {
		return nil
	}
	return []Finding{{
		"NetworkPolicies let nobody connect to its Pods, but programs of this machine",
		"see kubectl get networkpolicy, and add an ingress rule for those who may",
	}}
}

// unrouted says which ready Pods the proxies did not acknowledge.
func unrouted(pods []*corev1.Pod) []Finding {
	var names []string
	for _, pod := range pods {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == podlifecycle.RoutedCondition && condition.Status == corev1.ConditionUnknown {
				names = append(names, pod.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []Finding{{
		"the proxy did not say in time that it leads to " + strings.Join(names, ", "),
		"see the events of the Pod, and the log of cox for what keeps it from changing the Service rules",
	}}
}
