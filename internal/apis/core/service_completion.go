package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// CompleteService fills in what a client may leave out because it follows from
// what it gives, or from the Service as it was; old is nil on create. It comes
// before addresses and ports are allocated.
func CompleteService(service, old *corev1.Service) {
	if old != nil {
		dropByType(&service.Spec, &old.Spec)
		keepAllocated(&service.Spec, &old.Spec)
	}
	syncClusterIPs(&service.Spec, old)
}

// WantsClusterIP is false for Services that are only a name.
func WantsClusterIP(spec *corev1.ServiceSpec) bool {
	return spec.Type != corev1.ServiceTypeExternalName
}

// WantsNodePorts tells whether every port needs a node port.
func WantsNodePorts(spec *corev1.ServiceSpec) bool {
	switch spec.Type {
	case corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeLoadBalancer:
		return spec.AllocateLoadBalancerNodePorts == nil || *spec.AllocateLoadBalancerNodePorts
	default:
		return false
	}
}

// mayHaveNodePorts is true also where ports may be given by hand only.
func mayHaveNodePorts(spec *corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer
}

// WantsHealthCheckPort tells whether load balancers ask the node which Pods
// it has.
func WantsHealthCheckPort(spec *corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeLoadBalancer && spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// externallyAccessible tells whether traffic from outside can arrive.
func externallyAccessible(spec *corev1.ServiceSpec) bool {
	return mayHaveNodePorts(spec) || spec.Type == corev1.ServiceTypeClusterIP && len(spec.ExternalIPs) > 0
}

// dropByType removes what the new type of a Service cannot have, where the
// client only sent back what it was given. What it set itself stays, and
// validation complains.
func dropByType(spec, old *corev1.ServiceSpec) {
	if WantsClusterIP(old) && !WantsClusterIP(spec) {
		if spec.ClusterIP == old.ClusterIP && slices.Equal(spec.ClusterIPs, old.ClusterIPs) {
			spec.ClusterIP, spec.ClusterIPs = "", nil
		}
		if slices.Equal(spec.IPFamilies, old.IPFamilies) {
			spec.IPFamilies = nil
		}
		if ptr.Equal(spec.IPFamilyPolicy, old.IPFamilyPolicy) {
			spec.IPFamilyPolicy = nil
		}
	}
	if mayHaveNodePorts(old) && !mayHaveNodePorts(spec) && sameNodePorts(spec, old) {
		for i := range spec.Ports {
			spec.Ports[i].NodePort = 0
		}
	}
	if WantsHealthCheckPort(old) && !WantsHealthCheckPort(spec) && spec.HealthCheckNodePort == old.HealthCheckNodePort {
		spec.HealthCheckNodePort = 0
	}
	if old.Type == corev1.ServiceTypeLoadBalancer && spec.Type != corev1.ServiceTypeLoadBalancer {
		if ptr.Equal(spec.AllocateLoadBalancerNodePorts, old.AllocateLoadBalancerNodePorts) {
			spec.AllocateLoadBalancerNodePorts = nil
		}
		if ptr.Equal(spec.LoadBalancerClass, old.LoadBalancerClass) {
			spec.LoadBalancerClass = nil
		}
	}
	if externallyAccessible(old) && !externallyAccessible(spec) && spec.ExternalTrafficPolicy == old.ExternalTrafficPolicy {
		spec.ExternalTrafficPolicy = ""
	}
}

// sameNodePorts tells whether every node port of spec was there before.
func sameNodePorts(spec, old *corev1.ServiceSpec) bool {
	had := map[int32]bool{0: true}
	for _, port := range old.Ports {
		had[port.NodePort] = true
	}
	return !slices.ContainsFunc(spec.Ports, func(port corev1.ServicePort) bool { return !had[port.NodePort] })
}

// keepAllocated carries on what was allocated where the client left it out.
func keepAllocated(spec, old *corev1.ServiceSpec) {
	if WantsClusterIP(spec) && WantsClusterIP(old) {
		if spec.ClusterIP == "" {
			spec.ClusterIP = old.ClusterIP
		}
		if len(spec.ClusterIPs) == 0 && spec.ClusterIP == old.ClusterIP {
			spec.ClusterIPs = slices.Clone(old.ClusterIPs)
		}
	}
	if WantsNodePorts(spec) && WantsNodePorts(old) {
		keepNodePorts(spec, old)
	}
	if WantsHealthCheckPort(spec) && WantsHealthCheckPort(old) && spec.HealthCheckNodePort == 0 {
		spec.HealthCheckNodePort = old.HealthCheckNodePort
	}
}

func keepNodePorts(spec, old *corev1.ServiceSpec) {
	type key struct {
		protocol corev1.Protocol
		port     int32
	}
	had, used := map[key]int32{}, map[int32]bool{}
	for _, port := range old.Ports {
		had[key{port.Protocol, port.Port}] = port.NodePort
	}
	for _, port := range spec.Ports {
		used[port.NodePort] = true
	}
	for i := range spec.Ports {
		port := &spec.Ports[i]
		if before := had[key{port.Protocol, port.Port}]; port.NodePort == 0 && !used[before] {
			port.NodePort = before
		}
	}
}

// syncClusterIPs makes clusterIPs follow clusterIP, which older clients know
// alone.
func syncClusterIPs(spec *corev1.ServiceSpec, old *corev1.Service) {
	if old == nil {
		if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
			spec.ClusterIPs = []string{spec.ClusterIP}
		}
		return
	}
	if spec.ClusterIP == old.Spec.ClusterIP || !slices.Equal(spec.ClusterIPs, old.Spec.ClusterIPs) {
		return
	}
	spec.ClusterIPs = nil
	if spec.ClusterIP != "" {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
}
