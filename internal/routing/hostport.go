package routing

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// HostPorts is the rules of the host ports of a Pod on this machine. A Pod on
// the host's network listens there itself; one without an address, or that
// has ended, has none.
func HostPorts(pod *corev1.Pod) Rules {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	addr, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil || !addr.Is4() {
		return nil
	}
	var rules Rules
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, port := range container.Ports {
			protocol := protocolOf(port.Protocol)
			if port.HostPort < 1 || port.HostPort > 65535 || port.ContainerPort < 1 || port.ContainerPort > 65535 || protocol == 0 {
				continue
			}
			host := AnyAddr
			if ip, err := netip.ParseAddr(port.HostIP); err == nil {
				host = ip
			}
			if !host.Is4() {
				continue
			}
			rules = append(rules, Rule{
				Frontend:  Frontend{host, protocol, uint16(port.HostPort)},
				Endpoints: []Endpoint{netip.AddrPortFrom(addr, uint16(port.ContainerPort))},
				// A Pod's own port lives exactly as long as the Pod.
				Terminating: pod.DeletionTimestamp != nil,
			})
		}
	}
	return sorted(rules)
}
