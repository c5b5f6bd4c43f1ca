package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/policy"
)

// clusterZone is what names of Services end with.
const clusterZone = ".svc.cluster.local"

// alias says what is wrong with the name that an ExternalName stands for.
func alias(s Snapshot) []Finding {
	target := strings.TrimSuffix(strings.ToLower(s.Service.Spec.ExternalName), ".")
	if _, err := netip.ParseAddr(target); err == nil {
		return []Finding{{
			fmt.Sprintf("its externalName %s is an address: DNS takes it for a name, which nobody knows", target),
			"make it a Service without selector and type, and an EndpointSlice with the address",
		}}
	}
	name, ok := strings.CutSuffix(target, "."+s.Service.Namespace+clusterZone)
	if !ok || strings.Contains(name, ".") {
		return nil // somebody else's
	}
	exists := slices.ContainsFunc(s.Services, func(other *corev1.Service) bool { return other.Name == name })
	switch {
	case name == s.Service.Name:
		return []Finding{{"its externalName is its own name: it does not resolve", "name another one"}}
	case !exists:
		return []Finding{{fmt.Sprintf("its externalName %s does not resolve: there is no Service %s", target, name), "make that Service, or correct externalName"}}
	}
	return nil
}

// nameless finds Pods of a headless Service that were given a hostname and a
// subdomain, which is no Service: they have no name of their own.
func nameless(s Snapshot, pods []*corev1.Pod) []Finding {
	service := s.Service
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		return nil
	}
	var findings []Finding
	for _, pod := range pods {
		exists := slices.ContainsFunc(s.Services, func(other *corev1.Service) bool { return other.Name == pod.Spec.Subdomain })
		if pod.Spec.Hostname == "" || pod.Spec.Subdomain == "" || pod.Spec.Subdomain == service.Name || exists {
			continue
		}
		findings = append(findings, Finding{
			fmt.Sprintf("%s.%s does not resolve: Pod %s has the subdomain %q, and there is no such Service", pod.Spec.Hostname, service.Name, pod.Name, pod.Spec.Subdomain),
			fmt.Sprintf("set the Pods' subdomain to %s", service.Name),
		})
	}
	return findings
}

// deaf finds Pods that policies let connect to somebody, but not to the name
// server: whoever wrote them forgot that names have to be looked up. Who may
// connect to nobody at all needs no names.
func deaf(s Snapshot, pods []*corev1.Pod) []Finding {
	if !s.NameServer.IsValid() {
		return nil
	}
	var names []string
	all := append(slices.Concat(s.Pods, s.Others), policy.NameServer(s.NameServer))
	for _, pod := range pods {
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if err != nil {
			continue
		}
		decided := policy.Decide(policy.Snapshot{Pods: all, Namespaces: s.Namespaces, Policies: s.Policies, Node: pod.Spec.NodeName})
		isolation := decided[addr]
		if isolation.EgressIsolated && len(isolation.Egress) > 1 && !policy.Lets(isolation.Egress, s.NameServer, corev1.ProtocolUDP, policy.DNSPort) {
			names = append(names, pod.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []Finding{{
		"NetworkPolicies let its Pods connect to others, but not look names up: " + strings.Join(names, ", "),
		"allow egress to UDP and TCP port 53 of the Pods k8s-app=kube-dns in the namespace kube-system",
	}}
}
