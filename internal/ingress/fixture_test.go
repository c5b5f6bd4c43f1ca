package ingress

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// web is the Backend of most tests.
var web = Backend{Namespace: "default", Service: "web", Port: 80}

func servicePort(name string, port int32) *networkingv1.IngressBackend {
	return &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: port}}}
}

// ingressFor sends everything for a host to a Service.
func ingressFor(name, host, service string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix), Backend: *servicePort(service, 80)}}}}}}},
	}
}

// entrance is a front without an API: the pool, and what listens before it.
type entrance struct {
	*Front
	server *httptest.Server

	mu sync.Mutex
	// shown is what an API would show.
	shown served
}

// newEntrance serves the Pods of one Service to every host.
func newEntrance(t testing.TB, ready ...target) *entrance {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	e := &entrance{Front: &Front{pool: newPool(), log: logger, wake: make(chan struct{}, 1)}}
	e.backends.Store(&map[string]bool{"default/web": true})
	e.set(defaultTimeout, ready, nil)
	e.server = httptest.NewServer(newHandler(e.pool, logger))
	t.Cleanup(e.server.Close)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	go func() {
		for {
			select {
			case <-e.wake:
				e.pass()
			case <-ended:
				return
			}
		}
	}()
	return e
}

// pass looks at what is shown.
func (e *entrance) pass() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pool.replace(e.shown, e.begun.Add(1))
}

func (e *entrance) set(timeout time.Duration, ready, leaving []target) {
	table, _ := NewTable([]*networkingv1.Ingress{ingressFor("web", "", "web")})
	table.hosts[""].paths[0].route.Timeout = timeout
	e.mu.Lock()
	e.shown = served{table: table, backends: map[Backend]endpoints{web: {portKnown: true, ready: ready, leaving: leaving, trouble: "has no ready endpoint"}}}
	e.mu.Unlock()
	e.pass()
}

// pod is a program behind the front.
func pod(t testing.TB, handler http.HandlerFunc) target {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return targetOf(server.Listener.Addr())
}

func targetOf(address net.Addr) target {
	return target{address: netip.MustParseAddrPort(address.String())}
}

// rawPod is a program that does as it likes with each connection.
func rawPod(t *testing.T, serve func(net.Conn)) target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return targetOf(listener.Addr())
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return targetOf(listener.Addr())
}

func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, name)
	}
}

// ask sends a request to the front, and returns the status and the body.
func (e *entrance) ask(t *testing.T, method, body string) (int, string) {
	t.Helper()
	var sent io.Reader
	if body != "" {
		sent = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, e.server.URL+"/path", sent)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, e.server.Client(), request)
}

func do(t *testing.T, client *http.Client, request *http.Request) (int, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(content))
}

// patience is how long tests wait for what must happen.
const patience = 20 * time.Second

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never came", what)
		}
	}
}
