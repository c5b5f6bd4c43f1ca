package probes

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// target is a container with one port, named web.
func target(address net.Addr) Target {
	tcp := address.(*net.TCPAddr)
	return Target{PodIP: tcp.IP.String(), Container: &corev1.Container{Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(tcp.Port)}}}}
}

var web = intstr.FromString("web")

func TestHTTP(t *testing.T) {
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/fine", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://example.invalid/", http.StatusFound)
		case "/ill":
			w.WriteHeader(http.StatusInternalServerError)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	to := target(server.Listener.Addr())
	for path, want := range map[string]string{
		"/fine": "", "/fine?a=b": "", "/moved": "", "/away": "", "/ill": "HTTP probe failed with statuscode: 500",
		"/slow": "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
	} {
		got := to.Try(t.Context(), &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: web}}})
		if got.Success != (want == "") || !strings.HasSuffix(got.Output, want) || got.Err != nil {
			t.Errorf("%s: %+v, want %q", path, got, want)
		}
	}
	headers := []corev1.HTTPHeader{{Name: "Host", Value: "me.example"}, {Name: "X-A", Value: "b"}}
	to.Try(t.Context(), &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/fine", Port: web, HTTPHeaders: headers}}})
	if seen.Host != "me.example" || seen.Header.Get("X-A") != "b" || seen.UserAgent() != "kube-probe/1.37" {
		t.Errorf("request = %v %v", seen.Host, seen.Header)
	}
	server.Close()
	got := to.Try(t.Context(), &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: web}}})
	if got.Success || !strings.HasSuffix(got.Output, "connect: connection refused") {
		t.Errorf("nobody listens: %+v", got)
	}
}

func TestTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to, probe := target(listener.Addr()), &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: web}}}
	if got := to.Try(t.Context(), probe); !got.Success {
		t.Errorf("somebody listens: %+v", got)
	}
	listener.Close()
	if got := to.Try(t.Context(), probe); got.Success || !strings.Contains(got.Output, "connection refused") {
		t.Errorf("nobody listens: %+v", got)
	}
	probe.TCPSocket.Port = intstr.FromString("no")
	if got := to.Try(t.Context(), probe); got.Err == nil {
		t.Errorf("a port that is not there: %+v", got)
	}
}

func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	states, server := health.NewServer(), grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, states)
	go server.Serve(listener)
	defer server.Stop()
	to, service := target(listener.Addr()), "mine"
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: to.Container.Ports[0].ContainerPort, Service: &service}}}
	states.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING)
	if got := to.Try(t.Context(), probe); !got.Success {
		t.Errorf("it serves: %+v", got)
	}
	states.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if got := to.Try(t.Context(), probe); got.Success || got.Output != `service unhealthy (responded with "NOT_SERVING")` {
		t.Errorf("it does not serve: %+v", got)
	}
}

func TestExec(t *testing.T) {
	broken := errors.New("no runtime")
	to := Target{Exec: func(_ context.Context, command []string, timeout time.Duration) (string, bool, error) {
		switch command[0] {
		case "true":
			return "", timeout == 3*time.Second, nil
		case "false":
			return "it says no", false, nil
		}
		return "", false, broken
	}}
	for command, want := range map[string]Outcome{"true": {Success: true}, "false": {Output: "it says no"}, "?": {Err: broken}} {
		probe := &corev1.Probe{TimeoutSeconds: 3, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{command}}}}
		if got := to.Try(t.Context(), probe); got != want {
			t.Errorf("%s: %+v, want %+v", command, got, want)
		}
	}
}
