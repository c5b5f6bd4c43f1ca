package policy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DNSPort is where the name server is asked.
const DNSPort = 53

// NameServer stands for the name server at an address of the machine, which is
// no Pod: policies that let Pods look names up mean the Pods that it is
// elsewhere.
func NameServer(addr netip.Addr) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-dns", Labels: map[string]string{"k8s-app": "kube-dns"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "dns", ContainerPort: DNSPort, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", ContainerPort: DNSPort, Protocol: corev1.ProtocolTCP},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: addr.String()},
	}
}

// Lets tells whether one of these lets connections through to or from an
// address, at a port.
func Lets(allows []Allow, addr netip.Addr, protocol corev1.Protocol, port uint16) bool {
	for _, allow := range allows {
		peer, open := allow.All, len(allow.Ports) == 0
		for _, r := range allow.Peers {
			peer = peer || r.From.Compare(addr) <= 0 && addr.Compare(r.To) <= 0
		}
		for _, p := range allow.Ports {
			open = open || p.Protocol == protocol && p.First <= port && port <= p.Last
		}
		if peer && open {
			return true
		}
	}
	return false
}
