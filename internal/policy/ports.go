package policy

import (
	"cmp"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func hasNames(ports []networkingv1.NetworkPolicyPort) bool {
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port != nil && p.Port.Type == intstr.String })
}

// portsOf resolves ports at a Pod; nil has no named ones. some is false if
// none of them could be resolved.
func portsOf(ports []networkingv1.NetworkPolicyPort, pod *corev1.Pod) (found []Port, some bool) {
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		switch {
		case port.Port == nil:
			found = append(found, Port{protocol, 0, math.MaxUint16})
		case port.Port.Type == intstr.Int:
			last := port.Port.IntVal
			if port.EndPort != nil {
				last = *port.EndPort
			}
			found = append(found, Port{protocol, uint16(port.Port.IntVal), uint16(last)})
		case pod != nil:
			found = append(found, named(pod, protocol, port.Port.StrVal)...)
		}
	}
	slices.SortFunc(found, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return slices.Compact(found), len(found) > 0
}

func named(pod *corev1.Pod, protocol corev1.Protocol, name string) []Port {
	var found []Port
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range containers {
			for _, port := range container.Ports {
				if port.Name == name && cmp.Or(port.Protocol, corev1.ProtocolTCP) == protocol {
					found = append(found, Port{protocol, uint16(port.ContainerPort), uint16(port.ContainerPort)})
				}
			}
		}
	}
	return found
}
