package routing

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Snapshot is all that Decide sees. Nothing in it is changed.
type Snapshot struct {
	Service *corev1.Service
	// Slices are the EndpointSlices of the Service, in any order.
	Slices []*discoveryv1.EndpointSlice
	// Node is the name of this machine's Node, for the Local traffic policies.
	Node string
}

// proxyNameLabel hands a Service to a proxy of that name, and so not to us.
const proxyNameLabel = "service.kubernetes.io/service-proxy-name"

// Decide is the rules of one Service.
func Decide(s Snapshot) Rules {
	spec := &s.Service.Spec
	if spec.Type == corev1.ServiceTypeExternalName || spec.ClusterIP == corev1.ClusterIPNone || s.Service.Labels[proxyNameLabel] != "" {
		return nil
	}
	var rules Rules
	for _, port := range spec.Ports {
		protocol := protocolOf(port.Protocol)
		if protocol == 0 || port.Port < 1 || port.Port > 65535 {
			continue
		}
		all := s.endpoints(port)
		internal := all.choose(spec.InternalTrafficPolicy != nil && *spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal)
		external := all.choose(spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal)
		internal.AffinitySeconds = affinity(spec)
		external.AffinitySeconds = internal.AffinitySeconds
		add := func(rule Rule, addr netip.Addr, number int32) {
			rule.Frontend = Frontend{addr, protocol, uint16(number)}
			rules = append(rules, rule)
		}
		for _, addr := range clusterAddrs(spec) {
			add(internal, addr, port.Port)
		}
		for _, addr := range externalAddrs(s.Service) {
			add(external, addr, port.Port)
		}
		if port.NodePort > 0 && port.NodePort <= 65535 && exposesNodePort(spec.Type) {
			add(external, AnyAddr, port.NodePort)
		}
	}
	return sorted(rules)
}

// candidates are the endpoints of one Service port, by what they may be used
// for.
type candidates struct {
	ready, terminating           []Endpoint
	localReady, localTerminating []Endpoint
}

// endpoints collects the endpoints that a Service port leads to. Slices name
// ports by the Service's port name.
func (s Snapshot) endpoints(port corev1.ServicePort) candidates {
	var c candidates
	for _, slice := range s.Slices {
		if slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, slicePort := range slice.Ports {
			if slicePort.Port == nil || *slicePort.Port < 1 || *slicePort.Port > 65535 ||
				value(slicePort.Name) != port.Name || protocolOf(value(slicePort.Protocol)) != protocolOf(port.Protocol) {
				continue
			}
			for i := range slice.Endpoints {
				c.add(&slice.Endpoints[i], uint16(*slicePort.Port), s.Node)
			}
		}
	}
	for _, list := range []*[]Endpoint{&c.ready, &c.terminating, &c.localReady, &c.localTerminating} {
		slices.SortFunc(*list, Endpoint.Compare)
		*list = slices.Compact(*list)
	}
	return c
}

// add sorts one endpoint in. An unset condition means ready and serving.
func (c *candidates) add(endpoint *discoveryv1.Endpoint, port uint16, node string) {
	ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
	serving := endpoint.Conditions.Serving == nil || *endpoint.Conditions.Serving
	terminating := value(endpoint.Conditions.Terminating)
	if !ready && !(serving && terminating) || len(endpoint.Addresses) == 0 {
		return
	}
	// The addresses of one endpoint are equivalent: consumers use the first.
	addr, err := netip.ParseAddr(endpoint.Addresses[0])
	if err != nil || !addr.Is4() {
		return
	}
	all, local := &c.ready, &c.localReady
	// One that is published without being ready, or that terminates, serves
	// when there is nobody else.
	if !ready || terminating {
		all, local = &c.terminating, &c.localTerminating
	}
	*all = append(*all, netip.AddrPortFrom(addr, port))
	if endpoint.NodeName != nil && *endpoint.NodeName == node {
		*local = append(*local, netip.AddrPortFrom(addr, port))
	}
}

// choose picks the endpoints for one traffic policy. A Service that has
// endpoints, but none here, drops instead of refusing: the client may be
// balanced over nodes, and a refusal would take this one for all.
func (c candidates) choose(local bool) Rule {
	ready, terminating := c.ready, c.terminating
	if local {
		ready, terminating = c.localReady, c.localTerminating
	}
	switch {
	case len(ready) > 0:
		return Rule{Endpoints: ready}
	case len(terminating) > 0:
		return Rule{Endpoints: terminating, Terminating: true}
	case local && len(c.ready)+len(c.terminating) > 0:
		return Rule{Without: Drop}
	}
	return Rule{Without: Refuse}
}

// defaultAffinitySeconds is the API's default of
// sessionAffinityConfig.clientIP.timeoutSeconds.
const defaultAffinitySeconds = 10800

func affinity(spec *corev1.ServiceSpec) int32 {
	if spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil && *c.ClientIP.TimeoutSeconds > 0 {
		return *c.ClientIP.TimeoutSeconds
	}
	return defaultAffinitySeconds
}

func clusterAddrs(spec *corev1.ServiceSpec) []netip.Addr {
	if len(spec.ClusterIPs) > 0 {
		return ipv4(spec.ClusterIPs)
	}
	return ipv4([]string{spec.ClusterIP})
}

// externalAddrs are the addresses outside of the Service range that lead to a
// Service. A load balancer in proxy mode sends connections to node ports
// itself (KEP-1860).
func externalAddrs(service *corev1.Service) []netip.Addr {
	return append(ipv4(service.Spec.ExternalIPs), balancerAddrs(service)...)
}

// balancerAddrs are those of them that its load balancer has.
func balancerAddrs(service *corev1.Service) (addrs []netip.Addr) {
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if value(ingress.IPMode) != corev1.LoadBalancerIPModeProxy {
			addrs = append(addrs, ipv4([]string{ingress.IP})...)
		}
	}
	return addrs
}

func exposesNodePort(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer
}

// ipv4 keeps what can be a frontend: addresses that are no IPv4, empty ones
// and those that stand for something else are left out.
func ipv4(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err == nil && addr.Is4() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
