package proxy

import (
	"errors"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/network/networktest"
)

// fencedFor makes a Service a load balancer for some clients.
func fencedFor(ranges ...string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.LoadBalancerSourceRanges = ranges
		s.Spec.Ports[0].NodePort = 30080
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: networktest.HostAddr.String()}}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestLoadBalancersAreForTheirSourceRanges(t *testing.T) {
	c := startCluster(t)
	world, pod, client := c.NewNeighbour(t, "world"), c.NewPod(t, "pod"), c.NewPod(t, "client")
	pod.ServeNames(t, 8080)
	balancer := net.JoinHostPort(networktest.HostAddr.String(), "80")
	service := c.service("web", "10.96.0.20", fencedFor("203.0.113.0/24"))
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)

	for _, network := range []string{"tcp", "udp"} {
		if _, _, err := ask(world.Dial, network, balancer); !isTimeout(err) {
			t.Errorf("%s: error %v, want no answer at all for who is in no range", network, err)
		}
	}
	if _, _, err := ask(client.Dial, "tcp", balancer); !isTimeout(err) {
		t.Errorf("error %v, want no answer at all for a Pod that is in no range", err)
	}
	for name, way := range map[string]struct {
		dial dialer
		to   string
	}{
		"its cluster address":        {client.Dial, "10.96.0.20:80"},
		"its node port":              {world.Dial, net.JoinHostPort(networktest.HostAddr.String(), "30080")},
		"the machine's own programs": {fromHost, balancer},
	} {
		if answered, _ := mustAsk(t, way.dial, "tcp", way.to); answered != "pod" {
			t.Errorf("%s: %s answered, want pod", name, answered)
		}
	}

	for _, step := range []struct {
		ranges []string
		open   bool
	}{{[]string{"203.0.113.0/24", "192.0.2.0/24"}, true}, {[]string{"192.0.2.128/25"}, false}, {[]string{"0.0.0.0/0"}, true}, {[]string{"fd00::/8"}, false}, {nil, true}} {
		service.Spec.LoadBalancerSourceRanges = step.ranges
		var err error
		if service, err = c.client.CoreV1().Services("default").Update(t.Context(), service, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			_, _, err := ask(world.Dial, "tcp", balancer)
			if (err == nil) == step.open {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after 20 s with %v: %v", step.ranges, err)
			}
		}
	}
}

// A load balancer's address and its fence come in one transaction, after a
// restart too: nobody gets in between.
func TestAFenceStandsBeforeTheGateOpens(t *testing.T) {
	c := startCluster(t)
	world, pod := c.NewNeighbour(t, "world"), c.NewPod(t, "pod")
	pod.ServeNames(t, 8080)
	balancer := net.JoinHostPort(networktest.HostAddr.String(), "80")
	c.service("web", "10.96.0.20", fencedFor("203.0.113.0/24"))
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	c.stop()
	if _, _, err := ask(world.Dial, "tcp", balancer); !isTimeout(err) {
		t.Errorf("while cox is down: error %v, want no answer", err)
	}
	c.start()
	c.awaitOffered(pod.Addr)
	if _, _, err := ask(world.Dial, "tcp", balancer); !isTimeout(err) {
		t.Errorf("after a restart: error %v, want no answer", err)
	}
}
