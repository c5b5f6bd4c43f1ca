package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/network/networktest"
)

// callers are the ways by which a Service is reached in most tests.
func (c *cluster) callers(client *networktest.Pod) map[string]dialer {
	return map[string]dialer{"from a Pod": client.Dial, "from the host": fromHost}
}

func TestClusterIPBalancesOverEndpoints(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a, b)
	c.awaitOffered(a.Addr)

	for name, dial := range c.callers(client) {
		t.Run(name, func(t *testing.T) {
			for _, network := range []string{"tcp", "udp"} {
				answers := map[string]int{}
				const tries = 200
				for range tries {
					server, _ := mustAsk(t, dial, network, "10.96.0.20:80")
					answers[server]++
				}
				// Of 200 fair coins fewer than 60 heads is one in a hundred million.
				if answers["a"] < 60 || answers["b"] < 60 || answers["a"]+answers["b"] != tries {
					t.Errorf("%s: %v answered, want about %d each", network, answers, tries/2)
				}
			}
		})
	}
}

// A Pod sees who asks it: no address is changed on the way between Pods.
func TestPodSeesItsClient(t *testing.T) {
	c := startCluster(t)
	a, client := c.NewPod(t, "a"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)

	for address, want := range map[string]netip.Addr{"10.96.0.20:80": client.Addr, netip.AddrPortFrom(a.Addr, 8080).String(): client.Addr} {
		if _, from := mustAsk(t, client.Dial, "tcp", address); from.Addr() != want {
			t.Errorf("%s: the Pod saw %s, want %s", address, from.Addr(), want)
		}
	}
	if _, from := mustAsk(t, fromHost, "tcp", "10.96.0.20:80"); from.Addr() != c.Gateway() {
		t.Errorf("from the host: the Pod saw %s, want the gateway %s", from.Addr(), c.Gateway())
	}
}

func TestPodReachesItselfByItsService(t *testing.T) {
	c := startCluster(t)
	a := c.NewPod(t, "a")
	a.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)

	for _, network := range []string{"tcp", "udp"} {
		for range 20 {
			if name, from := mustAsk(t, a.Dial, network, "10.96.0.20:80"); name != "a" || from.Addr() != c.Gateway() {
				t.Errorf("%s: %s answered to %s, want a to the gateway %s", network, name, from, c.Gateway())
			}
		}
	}
}

func TestRefusedAtOnce(t *testing.T) {
	c := startCluster(t)
	c.NewNeighbour(t, "world")
	a, client := c.NewPod(t, "a"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	c.service("empty", "10.96.0.21")
	c.service("web", "10.96.0.20", func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.0.2.80"} })
	c.service("away", "10.96.0.22", func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.0.2.81"} })
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)

	for name, address := range map[string]string{
		"a Service without endpoints":              "10.96.0.21:80",
		"an address of no Service":                 "10.96.200.200:80",
		"a port that the Service does not have":    "10.96.0.20:81",
		"an external address without endpoints":    "192.0.2.81:80",
		"a port on which the Pod does not listen":  netip.AddrPortFrom(a.Addr, 9999).String(),
		"the gateway, where nobody listens either": c.Gateway().String() + ":9999",
	} {
		for caller, dial := range c.callers(client) {
			for range 3 {
				_, _, err := ask(dial, "tcp", address)
				if !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("%s, %s: %v, want a refusal", name, caller, err)
				}
			}
		}
	}
	for caller, dial := range c.callers(client) {
		// The kernel limits how often it says so, beyond which clients wait.
		if _, _, err := ask(dial, "tcp", "10.244.200.200:80"); !errors.Is(err, unix.EHOSTUNREACH) {
			t.Errorf("a Pod address that no Pod has, %s: %v, want no route", caller, err)
		}
	}
	if name, _ := mustAsk(t, client.Dial, "tcp", "192.0.2.80:80"); name != "a" {
		t.Errorf("%s answered at the external address, want a", name)
	}
}

func TestDropsWhereAnotherNodeMayAnswer(t *testing.T) {
	c := startCluster(t)
	a, client := c.NewPod(t, "a"), c.NewPod(t, "client")
	local := corev1.ServiceInternalTrafficPolicyLocal
	c.service("web", "10.96.0.20", func(s *corev1.Service) { s.Spec.InternalTrafficPolicy = &local })
	c.service("mark", "10.96.0.30")
	slice := newSlice("web")
	elsewhere := endpoint(netip.MustParseAddr("192.0.2.7"), true, false)
	node := "another"
	elsewhere.NodeName = &node
	slice.Endpoints = append(slice.Endpoints, elsewhere)
	c.put(slice)
	c.endpoints("mark", a)
	c.awaitOffered(a.Addr)

	_, _, err := ask(client.Dial, "tcp", "10.96.0.20:80")
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want no answer at all", err)
	}
}

func TestSessionAffinityKeepsTheEndpoint(t *testing.T) {
	c := startCluster(t)
	var pods []*networktest.Pod
	for _, name := range []string{"a", "b", "c", "d"} {
		pod := c.NewPod(t, name)
		pod.ServeNames(t, 8080)
		pods = append(pods, pod)
	}
	client := c.NewPod(t, "client")
	c.service("web", "10.96.0.20", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	c.endpoints("web", pods...)
	c.awaitOffered(pods[0].Addr)

	first, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80")
	for range 30 {
		if name, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80"); name != first {
			t.Fatalf("%s answered, want the first one, %s, again", name, first)
		}
	}
	// The client goes elsewhere when its endpoint is gone, and stays there.
	var rest []*networktest.Pod
	var gone *networktest.Pod
	for _, pod := range pods {
		if pod.Name == first {
			gone = pod
		} else {
			rest = append(rest, pod)
		}
	}
	c.endpoints("web", rest...)
	c.awaitUnrouted(gone.Addr)
	second, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80")
	if second == first {
		t.Fatalf("%s answered, which is no endpoint any more", second)
	}
	for range 30 {
		if name, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80"); name != second {
			t.Fatalf("%s answered, want %s again", name, second)
		}
	}
}

func TestTwoServicesWantTheSameNodePort(t *testing.T) {
	c := startCluster(t)
	a, b := c.NewPod(t, "a"), c.NewPod(t, "b")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	both := func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeNodePort
		s.Spec.Ports[0].NodePort = 30080
	}
	c.service("first", "10.96.0.20", both)
	c.service("second", "10.96.0.21", both)
	c.endpoints("first", a)
	c.endpoints("second", b)
	c.awaitOffered(a.Addr)
	c.awaitOffered(b.Addr)

	address := fmt.Sprintf("%s:30080", c.Gateway())
	if name, _ := mustAsk(t, fromHost, "tcp", address); name != "a" {
		t.Errorf("%s answered, want a: its Service comes first", name)
	}
	if err := c.client.CoreV1().Services("default").Delete(t.Context(), "first", deleteNow); err != nil {
		t.Fatal(err)
	}
	c.awaitUnrouted(a.Addr)
	if name, _ := mustAsk(t, fromHost, "tcp", address); name != "b" {
		t.Errorf("%s answered, want b: the first Service is gone", name)
	}
}
