package routing

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Fence lets only some clients reach a Frontend.
type Fence struct {
	Frontend
	// Sources are whose connections are let through; without any, nobody's.
	Sources []netip.Prefix
}

// Fences are what spec.loadBalancerSourceRanges of a Service comes to: its load
// balancer's addresses are for these clients. Its other addresses are for all.
func Fences(service *corev1.Service) []Fence {
	spec := &service.Spec
	if spec.Type != corev1.ServiceTypeLoadBalancer || len(spec.LoadBalancerSourceRanges) == 0 || service.Labels[proxyNameLabel] != "" {
		return nil
	}
	var sources []netip.Prefix
	for _, text := range spec.LoadBalancerSourceRanges {
		if prefix, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil && prefix.Addr().Is4() {
			sources = append(sources, prefix.Masked())
		}
	}
	slices.SortFunc(sources, netip.Prefix.Compare)
	sources = slices.Compact(sources)
	var fences []Fence
	for _, port := range spec.Ports {
		protocol := protocolOf(port.Protocol)
		if protocol == 0 || port.Port < 1 || port.Port > 65535 {
			continue
		}
		for _, addr := range balancerAddrs(service) {
			fences = append(fences, Fence{Frontend{addr, protocol, uint16(port.Port)}, sources})
		}
	}
	return fences
}
