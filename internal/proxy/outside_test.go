package proxy

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/network/networktest"
)

var (
	deleteNow = metav1.DeleteOptions{}
	getNow    = metav1.GetOptions{}
)

// nodePort makes a Service also a port of this machine.
func nodePort(s *corev1.Service) {
	s.Spec.Type = corev1.ServiceTypeNodePort
	s.Spec.Ports[0].NodePort = 30080
	s.Spec.Ports[1].NodePort = 30080
}

func TestPodReachesTheWorldAsThisMachine(t *testing.T) {
	c := startCluster(t)
	world := c.NewNeighbour(t, "world")
	world.ServeNames(t, 8080)
	pod := c.NewPod(t, "pod")
	for _, network := range []string{"tcp", "udp"} {
		name, from := mustAsk(t, pod.Dial, network, netip.AddrPortFrom(world.Addr, 8080).String())
		if name != "world" || from.Addr() != networktest.HostAddr {
			t.Errorf("%s: %s answered to %s, want world to this machine, %s", network, name, from.Addr(), networktest.HostAddr)
		}
	}
}

func TestNodePort(t *testing.T) {
	c := startCluster(t)
	world, pod, client := c.NewNeighbour(t, "world"), c.NewPod(t, "pod"), c.NewPod(t, "client")
	pod.ServeNames(t, 8080)
	c.service("web", "10.96.0.20", nodePort)
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)

	for _, test := range []struct {
		name string
		dial dialer
		to   string
		from netip.Addr
	}{
		{"another machine, whose address the Pod sees", world.Dial, networktest.HostAddr.String(), world.Addr},
		{"a Pod", client.Dial, networktest.HostAddr.String(), client.Addr},
		{"a Pod, by the gateway", client.Dial, c.Gateway().String(), client.Addr},
		{"the Pod itself", pod.Dial, networktest.HostAddr.String(), c.Gateway()},
		{"this machine", fromHost, networktest.HostAddr.String(), networktest.HostAddr},
		{"this machine, by localhost", fromHost, "127.0.0.1", c.Gateway()},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, network := range []string{"tcp", "udp"} {
				name, from := mustAsk(t, test.dial, network, net.JoinHostPort(test.to, "30080"))
				if name != "pod" || from.Addr() != test.from {
					t.Errorf("%s: %s answered to %s, want pod to %s", network, name, from.Addr(), test.from)
				}
			}
		})
	}
	t.Run("none without endpoints", func(t *testing.T) {
		c.endpoints("web")
		c.awaitUnrouted(pod.Addr)
		if _, _, err := ask(world.Dial, "tcp", net.JoinHostPort(networktest.HostAddr.String(), "30080")); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("error %v, want a refusal", err)
		}
	})
}

func TestLoadBalancerAddress(t *testing.T) {
	c := startCluster(t)
	world, pod := c.NewNeighbour(t, "world"), c.NewPod(t, "pod")
	pod.ServeNames(t, 8080)
	c.service("web", "10.96.0.20", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: networktest.HostAddr.String()}}
	})
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	name, from := mustAsk(t, world.Dial, "tcp", net.JoinHostPort(networktest.HostAddr.String(), "80"))
	if name != "pod" || from.Addr() != world.Addr {
		t.Errorf("%s answered to %s, want pod to %s", name, from.Addr(), world.Addr)
	}
}

// A Service without selector may lead anywhere.
func TestEndpointOutside(t *testing.T) {
	c := startCluster(t)
	world, client := c.NewNeighbour(t, "world"), c.NewPod(t, "client")
	world.ServeNames(t, 8080)
	c.service("web", "10.96.0.20", nodePort)
	c.endpoints("web", world)
	c.awaitOffered(world.Addr)
	for name, dial := range c.callers(client) {
		for _, address := range []string{"10.96.0.20:80", net.JoinHostPort(c.Gateway().String(), "30080")} {
			if server, from := mustAsk(t, dial, "tcp", address); server != "world" || from.Addr() != networktest.HostAddr {
				t.Errorf("%s to %s: %s answered to %s, want world to %s", name, address, server, from.Addr(), networktest.HostAddr)
			}
		}
	}
}

// The API and DNS listen on the gateway address, behind their Services.
func TestEndpointOnThisMachine(t *testing.T) {
	c := startCluster(t)
	client := c.NewPod(t, "client")
	listener, err := net.Listen("tcp4", net.JoinHostPort(c.Gateway().String(), "8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go networktest.AnswerNames("host", listener)
	c.service("kubernetes", "10.96.0.1")
	c.endpoints("kubernetes", &networktest.Pod{Addr: c.Gateway()})
	c.awaitOffered(c.Gateway())
	for name, dial := range c.callers(client) {
		if server, _ := mustAsk(t, dial, "tcp", "10.96.0.1:80"); server != "host" {
			t.Errorf("%s: %s answered, want host", name, server)
		}
	}
}

func TestHostPort(t *testing.T) {
	c := startCluster(t)
	world, pod := c.NewNeighbour(t, "world"), c.NewPod(t, "pod")
	pod.ServeNames(t, 8080)
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{
			Name: "c", Ports: []corev1.ContainerPort{{HostPort: 9090, ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: pod.Addr.String()},
	}
	if _, err := c.client.CoreV1().Pods("default").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.awaitOffered(pod.Addr)
	if name, _ := mustAsk(t, world.Dial, "tcp", net.JoinHostPort(networktest.HostAddr.String(), "9090")); name != "pod" {
		t.Errorf("%s answered, want pod", name)
	}
}

// Interfaces of Pods route loopback addresses for the sake of localhost; what
// listens on this machine's loopback must not be reached that way.
func TestPodDoesNotReachLoopbackOfTheHost(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "pod")
	listener, err := net.Listen("tcp4", "127.0.0.2:7070")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go networktest.AnswerNames("host", listener)
	if err := pod.RouteLoopback(); err != nil {
		t.Fatal(err)
	}
	_, _, err = ask(pod.Dial, "tcp", "127.0.0.2:7070")
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want no answer at all", err)
	}
}
