package routing

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestFencesAreForTheLoadBalancersAddresses(t *testing.T) {
	service := func(change ...func(*corev1.Service)) *corev1.Service {
		s := &corev1.Service{}
		s.Spec = corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.20", ExternalIPs: []string{"198.51.100.1"},
			LoadBalancerSourceRanges: []string{"203.0.113.0/24", " 192.0.2.7/24 ", "192.0.2.0/24", "fd00::/8"},
			Ports:                    []corev1.ServicePort{{Port: 80, NodePort: 30080}, {Port: 53, Protocol: corev1.ProtocolUDP}},
		}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {IP: "192.0.2.2", IPMode: ptr.To(corev1.LoadBalancerIPModeProxy)}, {Hostname: "lb.example"}}
		for _, f := range change {
			f(s)
		}
		return s
	}
	const both = "192.0.2.1:80 tcp [192.0.2.0/24 203.0.113.0/24]; 192.0.2.1:53 udp [192.0.2.0/24 203.0.113.0/24]"
	for name, test := range map[string]struct {
		service *corev1.Service
		want    string
	}{
		"IPv4 ranges, each once": {service(), both},
		"no ranges: for all":     {service(func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = nil }), ""},
		"only IPv6: for nobody": {service(func(s *corev1.Service) {
			s.Spec.LoadBalancerSourceRanges = []string{"fd00::/8"}
			s.Spec.Ports = s.Spec.Ports[:1]
		}), "192.0.2.1:80 tcp []"},
		"no load balancer":        {service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort }), ""},
		"another proxy's Service": {service(func(s *corev1.Service) { s.Labels = map[string]string{proxyNameLabel: "x"} }), ""},
		"no address yet":          {service(func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = nil }), ""},
	} {
		var got []string
		for _, fence := range Fences(test.service) {
			got = append(got, fmt.Sprint(fence.Frontend, " ", fence.Sources))
		}
		if strings.Join(got, "; ") != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
