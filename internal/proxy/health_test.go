package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/network/networktest"
)

// health asks a health check port as a load balancer elsewhere does.
func health(from *networktest.Pod, port int32) string {
	client := http.Client{Timeout: networktest.DialTimeout, Transport: &http.Transport{DisableKeepAlives: true, Dial: from.Dial}}
	answer, err := client.Get(fmt.Sprintf("http://%s/healthz", net.JoinHostPort(networktest.HostAddr.String(), fmt.Sprint(port))))
	if err != nil {
		return "no answer"
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	var short bytes.Buffer
	if err := json.Compact(&short, body); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s %s %s", answer.StatusCode, answer.Header.Get("Content-Type"), answer.Header.Get("X-Load-Balancing-Endpoint-Weight"), short.String())
}

func TestHealthCheckNodePort(t *testing.T) {
	c := startCluster(t)
	world, a, b := c.NewNeighbour(t, "world"), c.NewPod(t, "a"), c.NewPod(t, "b")
	const first, second = 31001, 31002
	service := c.service("web", "10.96.0.20", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Spec.HealthCheckNodePort = first
	})
	says := func(when string, port int32, want string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			got := health(world, port)
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s (-want +got):\n%s", when, cmp.Diff(want, got))
			}
		}
	}
	answer := func(code, count int) string {
		return fmt.Sprintf(`%d application/json %d {"service":{"namespace":"default","name":"web"},"localEndpoints":%d,"serviceProxyHealthy":true}`, code, count, count)
	}
	says("without endpoints", first, answer(503, 0))
	c.endpoints("web", a, b)
	says("with two", first, answer(200, 2))

	slice := newSlice("web")
	away, node := endpoint(a.Addr, true, false), "another"
	away.NodeName = &node
	slice.Endpoints = append(slice.Endpoints, away, endpoint(b.Addr, false, true))
	c.put(slice)
	says("with one elsewhere and one that ends", first, answer(503, 0))
	c.endpoints("web", a)
	says("with one", first, answer(200, 1))

	service.Spec.HealthCheckNodePort = second
	service, err := c.client.CoreV1().Services("default").Update(t.Context(), service, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	says("on another port", second, answer(200, 1))
	says("on the old port", first, "no answer")
	if err := c.client.CoreV1().Services("default").Delete(t.Context(), service.Name, deleteNow); err != nil {
		t.Fatal(err)
	}
	says("of no Service", second, "no answer")
}

// Somebody else's port is tried again when it is free.
func TestAHealthCheckPortInUseIsTriedAgain(t *testing.T) {
	c := startCluster(t)
	world := c.NewNeighbour(t, "world")
	listener, err := net.Listen("tcp4", ":31003")
	if err != nil {
		t.Fatal(err)
	}
	c.service("web", "10.96.0.20", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.HealthCheckNodePort = 31003
	})
	c.service("after", "10.96.0.21", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.HealthCheckNodePort = 31004
	})
	deadline := time.Now().Add(20 * time.Second)
	for health(world, 31004) == "no answer" { // by then the other was tried
		if time.Now().After(deadline) {
			t.Fatal("port 31004 does not answer")
		}
	}
	listener.Close()
	for health(world, 31003) == "no answer" {
		if time.Now().After(deadline) {
			t.Fatal("port 31003 was not tried again")
		}
	}
}
