package placement

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	componentresource "k8s.io/component-helpers/resource"
)

// Used is what the Pods of a node take. The zero value is an empty node.
type Used struct {
	MilliCPU, Memory, EphemeralStorage int64
	Other                              map[corev1.ResourceName]int64
	Pods                               int64
	HostPorts                          map[HostPort]int
}

// HostPort is a port of the node itself.
type HostPort struct {
	// IP is 0.0.0.0 for all addresses.
	IP       string
	Protocol corev1.Protocol
	Port     int32
}

// Add counts a Pod in; sign is 1, or -1 to count it out again.
func (u *Used) Add(pod *corev1.Pod, sign int64) {
	request := requestOf(pod)
	u.MilliCPU += sign * request.MilliCPU
	u.Memory += sign * request.Memory
	u.EphemeralStorage += sign * request.EphemeralStorage
	u.Pods += sign
	if u.Other == nil {
		u.Other, u.HostPorts = map[corev1.ResourceName]int64{}, map[HostPort]int{}
	}
	for name, amount := range request.Other {
		u.Other[name] += sign * amount
		if u.Other[name] == 0 {
			delete(u.Other, name)
		}
	}
	for port := range request.HostPorts {
		u.HostPorts[port] += int(sign)
		if u.HostPorts[port] <= 0 {
			delete(u.HostPorts, port)
		}
	}
}

// requestOf is what one Pod takes: the sum of its containers and sidecars, or
// what starting takes where that is more, and its overhead.
func requestOf(pod *corev1.Pod) Used {
	used := Used{Pods: 1, Other: map[corev1.ResourceName]int64{}, HostPorts: map[HostPort]int{}}
	for name, quantity := range componentresource.PodRequests(pod, componentresource.PodResourcesOptions{}) {
		switch name {
		case corev1.ResourceCPU:
			used.MilliCPU = quantity.MilliValue()
		case corev1.ResourceMemory:
			used.Memory = quantity.Value()
		case corev1.ResourceEphemeralStorage:
			used.EphemeralStorage = quantity.Value()
		default:
			used.Other[name] = quantity.Value()
		}
	}
	for _, container := range pod.Spec.Containers {
		used.addPorts(container)
	}
	for _, container := range pod.Spec.InitContainers {
		// Only sidecars are there together with all others.
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			used.addPorts(container)
		}
	}
	return used
}

func (u *Used) addPorts(container corev1.Container) {
	for _, port := range container.Ports {
		if port.HostPort > 0 {
			u.HostPorts[HostPort{cmp.Or(port.HostIP, anyIP), cmp.Or(port.Protocol, corev1.ProtocolTCP), port.HostPort}]++
		}
	}
}

const anyIP = "0.0.0.0"

// takes tells whether a port, or one that covers it, is in use.
func (u Used) takes(port HostPort) bool {
	for other, count := range u.HostPorts {
		if count > 0 && other.Protocol == port.Protocol && other.Port == port.Port &&
			(other.IP == anyIP || port.IP == anyIP || other.IP == port.IP) {
			return true
		}
	}
	return false
}
