package controllers_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/controllers"
)

// machine is one with two addresses, and programs that listen.
type machine struct {
	mu    sync.Mutex
	taken map[int32]bool
	held  []netip.Addr
}

func (m *machine) Hold(addresses []netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = addresses
	return nil
}

// holds waits until the machine has these addresses besides its own.
func (m *machine) holds(t *testing.T, want string) {
	t.Helper()
	eventually(t, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if got := strings.Trim(fmt.Sprint(m.held), "[]"); got != want {
			return fmt.Errorf("the machine holds %q, want %q", got, want)
		}
		return nil
	})
}

func (m *machine) Addresses() ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
}

func (m *machine) PortFree(_ netip.Addr, _ corev1.Protocol, port int32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.taken[port]
}

func withMachine(t *testing.T, m *machine, pool ...string) kubernetes.Interface {
	t.Helper()
	server := apitest.Start(t)
	addresses, err := controllers.ParseAddressPool(strings.Join(pool, ","))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: server.Admin(), ClusterCA: server.CA(), Machine: m, AddressPool: addresses, ReservedPorts: []int32{6443}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended with: %v", err)
		}
	})
	return server.Client(t)
}

func balanced(name string, port int32, change ...func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: port}}}}
	for _, f := range change {
		f(service)
	}
	return service
}

func ingressOf(t *testing.T, client kubernetes.Interface, name string) (text string) {
	t.Helper()
	service, err := client.CoreV1().Services("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		text += ingress.IP + " "
	}
	return text
}

// answersAt waits until a Service says these addresses.
func answersAt(t *testing.T, client kubernetes.Interface, name, want string) {
	t.Helper()
	eventually(t, func() error {
		if got := ingressOf(t, client, name); got != want {
			return fmt.Errorf("%s answers at %q, want %q", name, got, want)
		}
		return nil
	})
}

// isToldAbout waits for a warning that a Service is pending.
func isToldAbout(t *testing.T, client kubernetes.Interface, name, want string) {
	t.Helper()
	eventually(t, func() error {
		events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for _, event := range events.Items {
			if event.Type == corev1.EventTypeWarning && event.Reason == "SyncLoadBalancerFailed" && event.Message == "Error syncing load balancer: "+want {
				return nil
			}
		}
		return fmt.Errorf("no event of %s says %q: %v", name, want, events.Items)
	})
	if got := ingressOf(t, client, name); got != "" {
		t.Errorf("%s answers at %q nevertheless", name, got)
	}
}

func TestLoadBalancersStandOnTheMachinesAddresses(t *testing.T) {
	m := &machine{taken: map[int32]bool{8000: true}}
	client := withMachine(t, m)
	services := client.CoreV1().Services("default")
	make := func(service *corev1.Service) {
		t.Helper()
		if _, err := services.Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const all = "192.0.2.1 192.0.2.2 "

	make(balanced("web", 80))
	answersAt(t, client, "web", all)
	make(balanced("one", 81, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.2" }))
	answersAt(t, client, "one", "192.0.2.2 ")

	make(balanced("elsewhere", 82, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "198.51.100.1" }))
	isToldAbout(t, client, "elsewhere", "spec.loadBalancerIP 198.51.100.1 is none of this machine's addresses [192.0.2.1 192.0.2.2]")
	make(balanced("ssh", 22))
	isToldAbout(t, client, "ssh", "port 22/TCP is reserved for this machine itself")
	make(balanced("api", 6443))
	isToldAbout(t, client, "api", "port 6443/TCP is reserved for this machine itself")
	make(balanced("taken", 8000))
	isToldAbout(t, client, "taken", "port 8000/TCP is in use on 192.0.2.1 by a program of this machine")
	make(balanced("second", 80))
	isToldAbout(t, client, "second", "port 80/TCP is held by Service default/web")
	make(balanced("ported", 84, func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30084 }))
	answersAt(t, client, "ported", all)
	make(balanced("collides", 30084))
	isToldAbout(t, client, "collides", "port 30084/TCP is a node port of Service default/ported")
	make(balanced("beside", 81, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" }))
	answersAt(t, client, "beside", "192.0.2.1 ") // the other address's port 81 is another
	make(balanced("udp", 80, func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP }))
	answersAt(t, client, "udp", all)
	class := "example.com/other"
	make(balanced("others", 83, func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }))

	// What goes makes room, and what is none any more says so.
	if err := services.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	answersAt(t, client, "second", all)
	if _, err := services.Patch(t.Context(), "one", "application/merge-patch+json", []byte(`{"spec":{"type":"ClusterIP"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	answersAt(t, client, "one", "")
	if got := ingressOf(t, client, "others"); got != "" {
		t.Errorf("a Service of another class answers at %q", got)
	}
}

func TestLoadBalancersGetAddressesOfAPool(t *testing.T) {
	m := &machine{taken: map[int32]bool{8000: true}}
	client := withMachine(t, m, "198.51.100.10-198.51.100.12")
	services := client.CoreV1().Services("default")
	make := func(service *corev1.Service) {
		t.Helper()
		if _, err := services.Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	m.holds(t, "")
	make(balanced("named", 80, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "198.51.100.11" }))
	answersAt(t, client, "named", "198.51.100.11 ")
	// Each has its own address, where every port is free.
	make(balanced("ssh", 22))
	answersAt(t, client, "ssh", "198.51.100.10 ")
	make(balanced("web", 8000))
	answersAt(t, client, "web", "198.51.100.12 ")
	m.holds(t, "198.51.100.10 198.51.100.11 198.51.100.12")

	make(balanced("late", 80))
	isToldAbout(t, client, "late", "every address of the pool 198.51.100.10-198.51.100.12 is held by another Service")
	make(balanced("elsewhere", 80, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "203.0.113.1" }))
	isToldAbout(t, client, "elsewhere", "spec.loadBalancerIP 203.0.113.1 is none of this machine's addresses [192.0.2.1 192.0.2.2] and not in the pool 198.51.100.10-198.51.100.12")
	// The machine's own are for who asks for them, and 22 is not to be had there.
	make(balanced("own", 80, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.2" }))
	answersAt(t, client, "own", "192.0.2.2 ")
	make(balanced("ownssh", 22, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" }))
	isToldAbout(t, client, "ownssh", "port 22/TCP is reserved for this machine itself")
	m.holds(t, "198.51.100.10 198.51.100.11 198.51.100.12")

	if err := services.Delete(t.Context(), "ssh", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	answersAt(t, client, "late", "198.51.100.10 ")
	if _, err := services.Patch(t.Context(), "named", "application/merge-patch+json", []byte(`{"spec":{"type":"NodePort","loadBalancerIP":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	answersAt(t, client, "named", "")
	m.holds(t, "198.51.100.10 198.51.100.12")
}

// A pool may be one of the machine's own addresses, for one Service.
func TestAPoolOfTheMachinesOwnAddress(t *testing.T) {
	m := &machine{}
	client := withMachine(t, m, "192.0.2.2", "198.51.100.1")
	for _, service := range []*corev1.Service{balanced("first", 80), balanced("second", 80), balanced("third", 80)} {
		if _, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if service.Name == "first" {
			answersAt(t, client, "first", "198.51.100.1 ")
		} else if service.Name == "second" {
			answersAt(t, client, "second", "192.0.2.2 ")
		}
	}
	isToldAbout(t, client, "third", "every address of the pool 192.0.2.2,198.51.100.1 is held by another Service")
	m.holds(t, "198.51.100.1")
}

// However many are made at once, no address is given twice, before the cache
// knows the first as after.
func TestAnAddressOfThePoolIsGivenOnce(t *testing.T) {
	client := withMachine(t, &machine{}, "198.51.100.0/27")
	services := client.CoreV1().Services("default")
	const many = 32
	for i := range many {
		if _, err := services.Create(t.Context(), balanced(fmt.Sprintf("s%d", i), 80), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		given := map[string]string{}
		for i := range many {
			name := fmt.Sprintf("s%d", i)
			addr := ingressOf(t, client, name)
			if addr == "" {
				return fmt.Errorf("%s has no address", name)
			}
			if other := given[addr]; other != "" {
				t.Fatalf("%s and %s both have %s", name, other, addr)
			}
			given[addr] = name
		}
		return nil
	})
}

func TestAddressPoolsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"192.0.2.16/28":                    "192.0.2.16-192.0.2.31",
		" 192.0.2.9 , 192.0.2.1-192.0.2.3": "192.0.2.1-192.0.2.3,192.0.2.9",
		"192.0.2.77/24":                    "192.0.2.0-192.0.2.255",
		"10.0.0.0/16":                      "10.0.0.0-10.0.255.255",
		"10.0.0.0/15":                      "10.0.0.0/15 are 131072 addresses, more than 65536",
		"192.0.2.9-192.0.2.8":              "the range 192.0.2.9-192.0.2.8 ends before it begins",
		"127.0.0.1":                        "127.0.0.1 is not for addresses of machines",
		"192.0.2":                          `"192.0.2" is no IPv4 address, prefix or range (for example 192.0.2.16/28 or 192.0.2.40-192.0.2.50)`,
		"fd00::/120":                       `"fd00::/120" is no IPv4 address, prefix or range (for example 192.0.2.16/28 or 192.0.2.40-192.0.2.50)`,
		"192.0.2.1,":                       `"" is no IPv4 address, prefix or range (for example 192.0.2.16/28 or 192.0.2.40-192.0.2.50)`,
	} {
		pool, err := controllers.ParseAddressPool(text)
		got := pool.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
