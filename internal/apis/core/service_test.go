package core_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/apis/core"
)

// service is a valid one of the type, with an address and defaults, changed.
func service(kind corev1.ServiceType, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{{Port: 80}}}}
	if kind == corev1.ServiceTypeExternalName {
		s.Spec.ExternalName = "example.com"
	} else {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.5", []string{"10.96.0.5"}
	}
	core.SetServiceDefaults(s)
	for _, f := range change {
		f(s)
	}
	return s
}

func text(errs field.ErrorList) string {
	if err := errs.ToAggregate(); err != nil {
		return err.Error()
	}
	return ""
}

func TestServicesAreValidated(t *testing.T) {
	const (
		inside   = corev1.ServiceTypeClusterIP
		node     = corev1.ServiceTypeNodePort
		balanced = corev1.ServiceTypeLoadBalancer
		name     = corev1.ServiceTypeExternalName
	)
	for _, test := range []struct {
		name   string
		kind   corev1.ServiceType
		change func(*corev1.Service)
		want   string
	}{
		{"cluster address", inside, func(*corev1.Service) {}, ""},
		{"node port", node, func(*corev1.Service) {}, ""},
		{"load balancer", balanced, func(*corev1.Service) {}, ""},
		{"external name", name, func(s *corev1.Service) { s.Spec.ExternalName = "example.com." }, ""},
		{"headless without ports", inside, func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.Ports = "None", []string{"None"}, nil
		}, ""},
		{"no ports", inside, func(s *corev1.Service) { s.Spec.Ports = nil }, "spec.ports: Required value"},
		{"type", inside, func(s *corev1.Service) { s.Spec.Type = "X" }, `spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`},
		{"port", inside, func(s *corev1.Service) { s.Spec.Ports[0].Port = 70000 }, "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"},
		{"target port", inside, func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(-1) }, "spec.ports[0].targetPort: Invalid value: -1: must be between 1 and 65535, inclusive"},
		{"protocol", inside, func(s *corev1.Service) { s.Spec.Ports[0].Protocol = "ICMP" }, `spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"`},
		{"names of several ports", inside, func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81, Protocol: "TCP", TargetPort: intstr.FromInt32(81)})
		}, "spec.ports[0].name: Required value"},
		{"one port twice", inside, func(s *corev1.Service) {
			s.Spec.Ports[0].Name = "a"
			s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports[0])
			s.Spec.Ports[1].Name = "b"
		}, `spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80,"targetPort":0}`},
		{"node port inside", inside, func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30000 }, "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
		{"headless node port", node, func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} }, `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`},
		{"kubelet's port", balanced, func(s *corev1.Service) { s.Spec.Ports[0].Port = 10250 }, "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"},
		{"no name", name, func(s *corev1.Service) { s.Spec.ExternalName = "" }, "spec.externalName: Required value"},
		{"address of a name", name, func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.9" }, "spec.clusterIPs: Forbidden: may not be set for ExternalName services"},
		{"address", inside, func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "x", []string{"x"} }, `spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`},
		{"addresses apart", inside, func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"10.96.0.6"} }, "spec.clusterIPs: Invalid value: [\"10.96.0.6\"]: first value must match `clusterIP`"},
		{"affinity", inside, func(s *corev1.Service) { s.Spec.SessionAffinity = "Cookie" }, `spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"`},
		{"affinity without end", inside, func(s *corev1.Service) {
			s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](90000)}}
		}, "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and less than 86400"},
		{"external address", inside, func(s *corev1.Service) {
			s.Spec.ExternalIPs, s.Spec.ExternalTrafficPolicy = []string{"127.0.0.1"}, corev1.ServiceExternalTrafficPolicyCluster
		}, `spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`},
		{"policy for outsiders", inside, func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = "Local" }, `spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services`},
		{"policy inside", inside, func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicy("X"))
		}, `spec.internalTrafficPolicy: Unsupported value: "X": supported values: "Cluster", "Local"`},
		{"source ranges", inside, func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8"} }, "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"},
		{"class of balancer", inside, func(s *corev1.Service) { s.Spec.LoadBalancerClass = ptr.To("x") }, "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"},
		{"selector", inside, func(s *corev1.Service) { s.Spec.Selector = map[string]string{"a": "b c"} }, `spec.selector: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := text(core.ValidateService(service(test.kind, test.change))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestUpdatesOfServices(t *testing.T) {
	const inside, node, name = corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeExternalName
	withPort := service(node, func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30007 })
	for _, test := range []struct {
		name     string
		old, new *corev1.Service
		check    func(corev1.ServiceSpec) bool
		want     string
	}{
		{"a client that knows no address", service(inside), service(inside, func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil }),
			func(spec corev1.ServiceSpec) bool {
				return spec.ClusterIP == "10.96.0.5" && spec.ClusterIPs[0] == "10.96.0.5"
			}, ""},
		{"another address", service(inside), service(inside, func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.6" }),
			nil, `spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set`},
		{"headless now", service(inside), service(inside, func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} }),
			nil, `spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set`},
		{"a name now", service(inside), service(name, func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.5", []string{"10.96.0.5"} }),
			func(spec corev1.ServiceSpec) bool { return spec.ClusterIP == "" && spec.ClusterIPs == nil }, ""},
		{"a node port is kept", withPort, service(node), func(spec corev1.ServiceSpec) bool { return spec.Ports[0].NodePort == 30007 }, ""},
		{"a node port is dropped with the type", withPort, service(inside, func(s *corev1.Service) {
			s.Spec.Ports[0].NodePort, s.Spec.ExternalTrafficPolicy = 30007, corev1.ServiceExternalTrafficPolicyCluster
		}), func(spec corev1.ServiceSpec) bool {
			return spec.Ports[0].NodePort == 0 && spec.ExternalTrafficPolicy == ""
		}, ""},
		{"another node port inside", withPort, service(inside, func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30008 }),
			nil, "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			core.CompleteService(test.new, test.old)
			if got := text(core.ValidateServiceUpdate(test.new, test.old)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if test.check != nil && !test.check(test.new.Spec) {
				t.Errorf("completed to %+v", test.new.Spec)
			}
		})
	}
}

func TestFamiliesOfServices(t *testing.T) {
	both := corev1.IPFamilyPolicyRequireDualStack
	for _, test := range []struct {
		name   string
		change func(*corev1.Service)
		want   string
		ips    []corev1.IPFamily
	}{
		{"plain", func(*corev1.Service) {}, "", []corev1.IPFamily{"IPv4"}},
		{"both if there are", func(s *corev1.Service) { s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyPreferDualStack) }, "", []corev1.IPFamily{"IPv4"}},
		{"both", func(s *corev1.Service) { s.Spec.IPFamilyPolicy = &both }, `spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`, nil},
		{"the other", func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies = "", nil, []corev1.IPFamily{"IPv6"}
		}, `spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster`, nil},
		{"address of the other", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "fd00::1", []string{"fd00::1"} }, `spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster`, nil},
		{"headless without selector", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} }, "", []corev1.IPFamily{"IPv4", "IPv6"}},
		{"a family unheard of", func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPX"} }, `spec.ipFamilies[0]: Unsupported value: "IPX": supported values: "IPv4", "IPv6"`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := service(corev1.ServiceTypeClusterIP, test.change)
			if got := text(core.CompleteFamilies(s, nil, corev1.IPv4Protocol)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if len(test.ips) > 0 && len(s.Spec.IPFamilies) != len(test.ips) {
				t.Errorf("families %v, want %v", s.Spec.IPFamilies, test.ips)
			}
		})
	}
}
