package core

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// shop is an allocator over Services that are stored in memory.
type shop struct {
	*allocator
	mu     sync.Mutex
	stored map[types.UID]*corev1.Service
	clock  time.Time
}

func newShop(prefix string) *shop {
	s := &shop{stored: map[types.UID]*corev1.Service{}, clock: time.Unix(1e9, 0)}
	s.allocator = newAllocator(netip.MustParsePrefix(prefix), func(context.Context) (*corev1.ServiceList, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := &corev1.ServiceList{}
		for _, service := range s.stored {
			list.Items = append(list.Items, *service)
		}
		return list, nil
	})
	s.now = func() time.Time { return s.clock }
	return s
}

func (s *shop) store(service *corev1.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[service.UID] = service
}

func (s *shop) create(name string, spec corev1.ServiceSpec) (*corev1.Service, error) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: spec}
	if _, err := s.allocate(context.Background(), service, nil); err != nil {
		return nil, err
	}
	s.store(service)
	return service, nil
}

func (s *shop) delete(service *corev1.Service) {
	s.mu.Lock()
	delete(s.stored, service.UID)
	s.mu.Unlock()
	s.release(service)
}

func clusterIP(ip string) corev1.ServiceSpec {
	spec := corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}}
	if ip != "" {
		spec.ClusterIPs = []string{ip}
	}
	return spec
}

func ported(ports ...corev1.ServicePort) corev1.ServiceSpec {
	return corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: ports}
}

func TestFirstDynamicAddressIsBeyondTheBand(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.96.0.0/12": "10.96.1.1", "10.0.0.0/24": "10.0.0.17", "10.0.0.0/28": "10.0.0.1", "10.0.0.0/20": "10.0.1.1", "fd00::/112": "fd00::101",
	} {
		if got := newAddressPool(netip.MustParsePrefix(prefix)).next.String(); got != want {
			t.Errorf("%s begins at %s, want %s", prefix, got, want)
		}
	}
}

func TestAddressesAreGivenOnceAndHonouredByNumber(t *testing.T) {
	s := newShop("10.96.0.0/24")
	first, err := s.create("first", clusterIP(""))
	if err != nil || first.Spec.ClusterIP != "10.96.0.17" || first.Spec.ClusterIPs[0] != "10.96.0.17" {
		t.Fatalf("got %v, %v", first, err)
	}
	if _, err := s.create("fixed", clusterIP("10.96.0.18")); err != nil {
		t.Fatal(err)
	}
	second, err := s.create("second", clusterIP(""))
	if err != nil || second.Spec.ClusterIP != "10.96.0.19" {
		t.Errorf("got %v, %v", second, err)
	}
	for ip, want := range map[string]string{
		"10.96.0.18":  `Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.18"]: failed to allocate IP 10.96.0.18: provided IP is already allocated`,
		"10.97.0.1":   `Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.97.0.1"]: failed to allocate IP 10.97.0.1: the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24`,
		"10.96.0.255": `Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.255"]: failed to allocate IP 10.96.0.255: the provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is 10.96.0.0/24`,
	} {
		if _, err := s.create("x", clusterIP(ip)); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	s.delete(first)
	if again, err := s.create("again", clusterIP("10.96.0.17")); err != nil {
		t.Errorf("a freed address: %v, %v", again, err)
	}
}

func TestAFullRangeSaysSo(t *testing.T) {
	s := newShop("10.0.0.0/29")
	for i := range 6 {
		if _, err := s.create(fmt.Sprint(i), clusterIP("")); err != nil {
			t.Fatalf("%d of 6: %v", i, err)
		}
	}
	if _, err := s.create("one too many", clusterIP("")); err == nil || !strings.Contains(err.Error(), "failed to allocate a serviceIP: range is full") {
		t.Errorf("got %v", err)
	}
}

func TestNodePorts(t *testing.T) {
	s := newShop("10.96.0.0/16")
	dns := []corev1.ServicePort{{Name: "u", Protocol: corev1.ProtocolUDP, Port: 53}, {Name: "t", Protocol: corev1.ProtocolTCP, Port: 53}, {Name: "m", Protocol: corev1.ProtocolTCP, Port: 9153}}
	service, err := s.create("dns", ported(dns...))
	if err != nil {
		t.Fatal(err)
	}
	if ports := service.Spec.Ports; ports[0].NodePort != ports[1].NodePort || ports[2].NodePort == ports[1].NodePort || ports[0].NodePort < firstDynamicPort() {
		t.Errorf("got %v", ports)
	}
	if _, err := s.create("fixed", ported(corev1.ServicePort{Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30000})); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[int32]string{
		30000: `Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated`,
		80:    `Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`,
	} {
		if _, err := s.create("x", ported(corev1.ServicePort{Protocol: corev1.ProtocolTCP, Port: 80, NodePort: port})); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := s.create("udp", ported(corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 80, NodePort: 30000})); err != nil {
		t.Errorf("another protocol: %v", err)
	}
	local := corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}}
	if service, err := s.create("lb", local); err != nil || service.Spec.HealthCheckNodePort == 0 || service.Spec.HealthCheckNodePort == service.Spec.Ports[0].NodePort {
		t.Errorf("got %v, %v", service, err)
	}
}

// TestWhatFailedRequestsLeaveBehindIsRepaired: a request that took a port and
// then died without undoing it, and an update that gave one up.
func TestWhatFailedRequestsLeaveBehindIsRepaired(t *testing.T) {
	s := newShop("10.96.0.0/16")
	fixed := corev1.ServicePort{Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30001}
	lost := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "lost", UID: "lost"}, Spec: ported(fixed)}
	if _, err := s.allocate(t.Context(), lost, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.create("early", ported(fixed)); err == nil {
		t.Fatal("a claim was broken while its request may go on")
	}
	s.clock = s.clock.Add(2 * claimGrace)
	before, err := s.create("late", ported(fixed))
	if err != nil {
		t.Fatal(err)
	}

	after := before.DeepCopy()
	after.Spec.Type, after.Spec.Ports[0].NodePort = corev1.ServiceTypeClusterIP, 0
	if _, err := s.allocate(t.Context(), after, before); err != nil {
		t.Fatal(err)
	}
	s.giveUp(before, after)
	if _, err := s.create("thief", ported(fixed)); err == nil {
		t.Fatal("a port was given twice: the update has not been stored")
	}
	s.store(after)
	if _, err := s.create("heir", ported(fixed)); err != nil {
		t.Errorf("after the update: %v", err)
	}
}

func TestARestartKnowsWhatIsTaken(t *testing.T) {
	s := newShop("10.96.0.0/24")
	first, err := s.create("first", clusterIP(""))
	if err != nil {
		t.Fatal(err)
	}
	restarted := newShop("10.96.0.0/24")
	restarted.stored = s.stored
	second, err := restarted.create("second", clusterIP(""))
	if err != nil || second.Spec.ClusterIP == first.Spec.ClusterIP {
		t.Errorf("got %v, %v", second, err)
	}
}

// TestNothingIsEverGivenTwice tries all orders of creating, failing, updating
// and deleting.
func TestNothingIsEverGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShop("10.0.0.0/28")
		serial := 0
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				serial++
				spec := clusterIP("")
				if rapid.Bool().Draw(t, "node port") {
					spec = ported(corev1.ServicePort{Protocol: corev1.ProtocolTCP, Port: 80, NodePort: int32(rapid.IntRange(30000, 30003).Draw(t, "port"))})
				}
				_, _ = s.create(fmt.Sprint(serial), spec)
			},
			"fail": func(t *rapid.T) {
				serial++
				service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint(serial))}, Spec: clusterIP("")}
				if undo, err := s.allocate(context.Background(), service, nil); err == nil && rapid.Bool().Draw(t, "undone") {
					undo()
				}
			},
			"delete":     func(t *rapid.T) { s.delete(s.pick(t)) },
			"drop ports": func(t *rapid.T) { s.dropPorts(t) },
			"wait":       func(*rapid.T) { s.clock = s.clock.Add(claimGrace) },
			"":           func(t *rapid.T) { s.check(t) },
		})
	})
}

func (s *shop) pick(t *rapid.T) *corev1.Service {
	if len(s.stored) == 0 {
		t.Skip("there is none")
	}
	var names []string
	for uid := range s.stored {
		names = append(names, string(uid))
	}
	return s.stored[types.UID(rapid.SampledFrom(slices.Sorted(slices.Values(names))).Draw(t, "service"))]
}

func (s *shop) dropPorts(t *rapid.T) {
	before := s.pick(t)
	after := before.DeepCopy()
	after.Spec.Type, after.Spec.Ports[0].NodePort = corev1.ServiceTypeClusterIP, 0
	if _, err := s.allocate(context.Background(), after, before); err != nil {
		t.Fatal(err)
	}
	s.giveUp(before, after)
	if rapid.Bool().Draw(t, "stored") {
		s.store(after)
	}
}

func (s *shop) check(t *rapid.T) {
	addresses, ports := map[netip.Addr]types.UID{}, map[nodePort]types.UID{}
	for _, service := range s.stored {
		for _, addr := range addressesOf(service) {
			if other, taken := addresses[addr]; taken {
				t.Fatalf("%s belongs to %s and %s", addr, other, service.UID)
			}
			addresses[addr] = service.UID
		}
		for _, port := range portsOf(service) {
			if other, taken := ports[port]; taken {
				t.Fatalf("port %v belongs to %s and %s", port, other, service.UID)
			}
			ports[port] = service.UID
		}
	}
}
