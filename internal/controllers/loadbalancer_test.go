package controllers_test

import (
	"context"
	"fmt"
	"net/netip"
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
}

func (m *machine) Addresses() ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
}

func (m *machine) PortFree(_ netip.Addr, _ corev1.Protocol, port int32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.taken[port]
}

func withMachine(t *testing.T, m *machine) kubernetes.Interface {
	t.Helper()
	server := apitest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: server.Admin(), ClusterCA: server.CA(), Machine: m, ReservedPorts: []int32{6443}})
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
