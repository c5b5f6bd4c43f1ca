package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/network/networktest"
)

// A named target port may be another number in each Pod.
func TestPodsOfOneServiceListenOnDifferentPorts(t *testing.T) {
	c := startCluster(t)
	old, young, client := c.NewPod(t, "old"), c.NewPod(t, "young"), c.NewPod(t, "client")
	old.ServeNames(t, 8080)
	young.ServeNames(t, 9090)
	c.service("web", "10.96.0.20", nodePort)
	c.endpoints("web", old)
	second, port := newSlice("web"), int32(9090)
	second.Name = "web-2"
	for i := range second.Ports {
		second.Ports[i].Port = &port
	}
	second.Endpoints = []discoveryv1.Endpoint{endpoint(young.Addr, true, false)}
	c.put(second)
	c.awaitOffered(old.Addr)
	c.awaitOffered(young.Addr)
	for _, address := range []string{"10.96.0.20:80", net.JoinHostPort(c.Gateway().String(), "30080")} {
		answers := map[string]int{}
		const tries = 100
		for range tries {
			name, _ := mustAsk(t, client.Dial, "tcp", address)
			answers[name]++
		}
		// Of 100 fair coins fewer than 15 heads is one in ten thousand millions.
		if answers["old"] < 15 || answers["young"] < 15 {
			t.Errorf("%s: %v answered, want about %d each", address, answers, tries/2)
		}
	}
}

// Who comes from outside to a Service with the policy Local is seen as it is,
// and is left without an answer where there is no endpoint.
func TestExternalTrafficPolicyLocal(t *testing.T) {
	c := startCluster(t)
	world, pod, mark := c.NewNeighbour(t, "world"), c.NewPod(t, "pod"), c.NewPod(t, "mark")
	pod.ServeNames(t, 8080)
	c.service("web", "10.96.0.20", nodePort, func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: networktest.HostAddr.String()}}
	})
	c.service("mark", "10.96.0.30")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	host := networktest.HostAddr.String()
	ways := []string{net.JoinHostPort(host, "30080"), net.JoinHostPort(host, "80")}
	for _, way := range ways {
		for _, network := range []string{"tcp", "udp"} {
			if name, from := mustAsk(t, world.Dial, network, way); name != "pod" || from.Addr() != world.Addr {
				t.Errorf("%s %s: %s answered to %s, want pod to %s", network, way, name, from.Addr(), world.Addr)
			}
		}
	}

	slice, node := newSlice("web"), "another"
	away := endpoint(netip.MustParseAddr("192.0.2.7"), true, false)
	away.NodeName = &node
	slice.Endpoints = append(slice.Endpoints, away)
	c.put(slice)
	c.awaitUnrouted(pod.Addr)
	for _, way := range ways {
		if _, _, err := ask(world.Dial, "tcp", way); !isTimeout(err) {
			t.Errorf("%s: error %v, want no answer at all", way, err)
		}
	}
	c.put(newSlice("web"))
	c.endpoints("mark", mark)
	c.awaitOffered(mark.Addr)
	for _, way := range ways {
		if _, _, err := ask(world.Dial, "tcp", way); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: error %v, want a refusal: there is no endpoint anywhere", way, err)
		}
	}
}

// After its time a client is sent anywhere again.
func TestSessionAffinityEnds(t *testing.T) {
	c := startCluster(t)
	var pods []*networktest.Pod
	for _, name := range []string{"a", "b", "c", "d"} {
		pod := c.NewPod(t, name)
		pod.ServeNames(t, 8080)
		pods = append(pods, pod)
	}
	client := c.NewPod(t, "client")
	second := int32(1)
	c.service("web", "10.96.0.20", func(s *corev1.Service) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &second}}
	})
	c.endpoints("web", pods...)
	c.awaitOffered(pods[0].Addr)
	// One in a million million that all go to the same by chance.
	const tries = 20
	answers := map[string]bool{}
	for i := 0; i < tries && len(answers) < 2; i++ {
		name, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80")
		answers[name] = true
		awaitForgotten(t, client.Addr)
	}
	if len(answers) < 2 {
		t.Errorf("only %v answered in %d tries, each after the client was forgotten", answers, tries)
	}
}

// awaitForgotten waits until no endpoint remembers a client.
func awaitForgotten(t *testing.T, client netip.Addr) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		out, err := exec.Command("nft", "list", "table", "ip", "coxswain").CombinedOutput()
		if err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
		if !strings.Contains(string(out), client.String()+" timeout") && !strings.Contains(string(out), client.String()+" expires") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the client is still remembered:\n%s", out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A Service that becomes another type answers where that type does, and
// nowhere else.
func TestTypesOfAServiceAnswerWhereTheyShould(t *testing.T) {
	c := startCluster(t)
	world, pod, client := c.NewNeighbour(t, "world"), c.NewPod(t, "pod"), c.NewPod(t, "client")
	pod.ServeNames(t, 8080)
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	host := networktest.HostAddr.String()
	for _, step := range []struct {
		kind                    corev1.ServiceType
		cluster, node, balancer bool
	}{
		{corev1.ServiceTypeNodePort, true, true, false}, {corev1.ServiceTypeLoadBalancer, true, true, true}, {corev1.ServiceTypeClusterIP, true, false, false},
		{corev1.ServiceTypeExternalName, false, false, false}, {corev1.ServiceTypeNodePort, true, true, false},
	} {
		service.Spec.Type, service.Status.LoadBalancer.Ingress = step.kind, nil
		service.Spec.ClusterIP, service.Spec.ClusterIPs = "10.96.0.20", []string{"10.96.0.20"}
		for i := range service.Spec.Ports {
			service.Spec.Ports[i].NodePort = 30080
		}
		if step.balancer {
			service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: host}}
		}
		var err error
		if service, err = c.client.CoreV1().Services("default").Update(t.Context(), service, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			dial    dialer
			to      string
			answers bool
		}{{client.Dial, "10.96.0.20:80", step.cluster}, {world.Dial, net.JoinHostPort(host, "30080"), step.node}, {world.Dial, net.JoinHostPort(host, "80"), step.balancer}} {
			deadline := time.Now().Add(10 * time.Second)
			for {
				name, _, err := ask(way.dial, "tcp", way.to)
				if way.answers && name == "pod" || !way.answers && errors.Is(err, unix.ECONNREFUSED) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s at %s: %q answered, %v", step.kind, way.to, name, err)
				}
			}
		}
	}
}

// The address of a pool answers from outside, from Pods and from this machine;
// its other ports are refused.
func TestLoadBalancerAtAnAddressOfAPool(t *testing.T) {
	c := startCluster(t)
	world, pod, client := c.NewNeighbour(t, "world"), c.NewPod(t, "pod"), c.NewPod(t, "client")
	pod.ServeNames(t, 8080)
	addr := netip.MustParseAddr("192.0.2.40")
	m := network.Machine{PodCIDR: c.PodCIDR}
	if err := m.Hold([]netip.Addr{addr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Hold(nil); err != nil {
			t.Error(err)
		}
	})
	c.service("web", "10.96.0.20", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: addr.String()}}
	})
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	for who, dial := range map[string]dialer{"another machine": world.Dial, "a Pod": client.Dial, "this machine": fromHost} {
		for _, network := range []string{"tcp", "udp"} {
			if name, _ := mustAsk(t, dial, network, net.JoinHostPort(addr.String(), "80")); name != "pod" {
				t.Errorf("%s, %s: %s answered, want pod", who, network, name)
			}
		}
	}
	if _, _, err := ask(world.Dial, "tcp", net.JoinHostPort(addr.String(), "81")); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("another port: %v, want a refusal", err)
	}
}

// SCTP is routed like the others; whether a program can speak it is up to the
// kernel.
func TestSCTP(t *testing.T) {
	c := startCluster(t)
	pod, client := c.NewPod(t, "pod"), c.NewPod(t, "client")
	c.service("web", "10.96.0.20", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP })
	slice, sctp := newSlice("web"), corev1.ProtocolSCTP
	slice.Ports[0].Protocol = &sctp
	slice.Endpoints = append(slice.Endpoints, endpoint(pod.Addr, true, false))
	c.put(slice)
	c.awaitOffered(pod.Addr)
	out, err := exec.Command("nft", "list", "map", "ip", "coxswain", "endpoints").CombinedOutput()
	if want := "10.96.0.20 . sctp . 80 . 0x00000000 : " + pod.Addr.String() + " . 8080"; err != nil || !strings.Contains(string(out), want) {
		t.Fatalf("nft list map: %v\n%s\nwant %q in it", err, out, want)
	}

	var listener int
	err = pod.Do(func() (err error) {
		listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		return err
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("the rules are there; this kernel has no SCTP to try them with (CONFIG_IP_SCTP)")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Port: 8080}), unix.Listen(listener, 1)); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		timeout := unix.NsecToTimeval(int64(networktest.DialTimeout))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{10, 96, 0, 20}})
	}); err != nil {
		t.Errorf("connecting by SCTP: %v", fmt.Errorf("to 10.96.0.20:80: %w", err))
	}
}
