package apiserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
)

// podNetwork is where every address of a Pod leads to one program, and which
// remembers what was dialled.
type podNetwork struct {
	server *httptest.Server
	// ended is closed when the client of /wait has gone.
	ended chan struct{}

	mu      sync.Mutex
	dialled []string
}

func newPodNetwork(t *testing.T) *podNetwork {
	n := &podNetwork{ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<a href="/next">next</a>`)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/next", http.StatusFound) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if kind, message, err := conn.ReadMessage(); err == nil {
			conn.WriteMessage(kind, message)
		}
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "waiting\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(n.ended)
	})
	n.server = httptest.NewServer(mux)
	t.Cleanup(n.server.Close)
	return n
}

func (n *podNetwork) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled = append(n.dialled, address)
	n.mu.Unlock()
	if strings.HasSuffix(address, ":9") {
		return nil, fmt.Errorf("dial tcp %s: connect: connection refused", address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, n.server.Listener.Addr().String())
}

// was returns the addresses that were dialled since the last call.
func (n *podNetwork) was() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	dialled := strings.Join(n.dialled, " ")
	n.dialled = nil
	n.server.CloseClientConnections() // or the next request needs no dialling
	return dialled
}

// withPods starts a server whose Pods web, other and near have addresses, and
// whose Service web has ports with names.
func withPods(t *testing.T) (*apitest.Server, *podNetwork) {
	t.Helper()
	network := newPodNetwork(t)
	server := apitest.Start(t, apitest.WithConfig(func(c *apiserver.Config) { c.DialPods = network.dial }))
	client := server.Client(t)
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"web": "10.244.0.7", "other": "10.244.0.8", "near": "127.0.0.1", "linked": "169.254.169.254"} {
		addPod(t, client, name, address)
	}
	for name, ports := range map[string][]corev1.ServicePort{
		"web": {{Name: "http", Port: 80}, {Name: "admin", Port: 81}}, "plain": {{Port: 80}}, "empty": {{Port: 80}}, "forged": {{Port: 80}}, "starting": {{Port: 80}},
	} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: ports}}
		if _, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	addSlice(t, client, "web", "web", "10.244.0.7", true, map[string]int32{"http": 8080, "admin": 8081})
	addSlice(t, client, "plain", "web", "10.244.0.7", true, map[string]int32{"": 8080})
	addSlice(t, client, "starting", "web", "10.244.0.7", false, map[string]int32{"": 8080})
	addSlice(t, client, "forged", "web", "10.244.0.1", true, map[string]int32{"": 6443}) // not that Pod's address
	addSlice(t, client, "forged", "", "10.244.0.7", true, map[string]int32{"": 8080})
	return server, network
}

func addPod(t *testing.T, client kubernetes.Interface, name, address string) {
	t.Helper()
	spec := corev1.PodSpec{Containers: []corev1.Container{
		{Name: "sidecar", Image: "i"}, {Name: "c", Image: "i", Ports: []corev1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 8081}}}}}
	pod, err := client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.PodIP, pod.Status.PodIPs = address, []corev1.PodIP{{IP: address}}
	if _, err := client.CoreV1().Pods("default").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func addSlice(t *testing.T, client kubernetes.Interface, service, pod, address string, ready bool, ports map[string]int32) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{GenerateName: service + "-", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
	if pod != "" {
		slice.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: pod, Namespace: "default"}
	}
	for name, port := range ports {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &name, Port: &port})
	}
	if _, err := client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// proxied asks for a path below the namespace, and returns the answer with its
// body read.
func proxied(t *testing.T, config *rest.Config, method, path, body string) (*http.Response, string) {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, config.Host+"/api/v1/namespaces/default/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer, string(content)
}

func TestProxyLeadsToThePort(t *testing.T) {
	server, network := withPods(t)
	config := overTLS(t, server)
	for path, want := range map[string]string{
		"pods/web/proxy/":                 "10.244.0.7:8080",
		"pods/web:8081/proxy/":            "10.244.0.7:8081",
		"pods/http:other:80/proxy/":       "10.244.0.8:80",
		"services/web:http/proxy/":        "10.244.0.7:8080",
		"services/web:admin/proxy/":       "10.244.0.7:8081",
		"services/web:81/proxy/":          "10.244.0.7:8081",
		"services/http:web:80/proxy/":     "10.244.0.7:8080",
		"services/plain/proxy/":           "10.244.0.7:8080",
		"services/plain:80/proxy/deep/er": "10.244.0.7:8080",
	} {
		answer, _ := proxied(t, config, http.MethodGet, path, "")
		if got := network.was(); got != want || answer.StatusCode != http.StatusOK {
			t.Errorf("%s dialled %q, %s, want %q", path, got, answer.Status, want)
		}
	}
}

func TestProxyPassesRequestsOn(t *testing.T) {
	server, _ := withPods(t)
	config := overTLS(t, server)
	for _, object := range []string{"pods/web", "services/plain"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"} {
			answer, body := proxied(t, config, method, object+"/proxy/some/path/?q=a%20b", "sent")
			want := method + " /some/path/?q=a%20b sent"
			if method == "HEAD" {
				want = ""
			}
			if answer.StatusCode != http.StatusOK || answer.Header.Get("X-Method") != method || body != want {
				t.Errorf("%s %s: %s, %q, want %q", method, object, answer.Status, body, want)
			}
		}
		base := "/api/v1/namespaces/default/" + object + "/proxy/"
		if _, body := proxied(t, config, "GET", object+"/proxy/page", ""); body != `<a href="`+base+`next">next</a>` {
			t.Errorf("%s: the link is %s", object, body)
		}
		if answer, _ := proxied(t, config, "GET", object+"/proxy/moved", ""); answer.Header.Get("Location") != base+"next" {
			t.Errorf("%s: it moved to %q", object, answer.Header.Get("Location"))
		}
		answer, _ := proxied(t, config, "GET", object+"/proxy?a=b", "")
		if answer.StatusCode != http.StatusMovedPermanently || answer.Header.Get("Location") != base+"?a=b" {
			t.Errorf("%s: without a slash: %s, to %q", object, answer.Status, answer.Header.Get("Location"))
		}
		if _, body := proxied(t, config, "POST", object+"/proxy", "sent"); body != "POST / sent" {
			t.Errorf("%s: POST without a slash: %q", object, body)
		}
	}
}

func TestProxyRefusesInWords(t *testing.T) {
	server, network := withPods(t)
	config := overTLS(t, server)
	for path, want := range map[string]string{
		"pods/ghost/proxy/":        `404 pods "ghost" not found`,
		"pods/ftp:web:80/proxy/":   `400 invalid pod request "ftp:web:80"`,
		"pods/near/proxy/":         `400 address not allowed`,
		"pods/linked:80/proxy/":    `400 address not allowed`,
		"services/ghost/proxy/":    `404 services "ghost" not found`,
		"services/a:b:c:d/proxy/":  `400 invalid service request "a:b:c:d"`,
		"services/web:82/proxy/":   `503 no service port 82 found for service "web"`,
		"services/web/proxy/":      `503 no endpoints available for service "web"`, // its ports have names
		"services/web:x/proxy/":    `503 no endpoints available for service "web"`,
		"services/empty/proxy/":    `503 no endpoints available for service "empty"`,
		"services/starting/proxy/": `503 no endpoints available for service "starting"`,
		"services/forged/proxy/":   `503 no endpoints available for service "forged"`,
	} {
		answer, body := proxied(t, config, http.MethodGet, path, "")
		code, message, _ := strings.Cut(want, " ")
		if fmt.Sprint(answer.StatusCode) != code || !strings.Contains(body, `"message":"`+strings.ReplaceAll(message, `"`, `\"`)+`"`) {
			t.Errorf("%s: %s %s, want %s", path, answer.Status, body, want)
		}
		if dialled := network.was(); dialled != "" {
			t.Errorf("%s dialled %s", path, dialled)
		}
	}
	answer, body := proxied(t, config, http.MethodGet, "pods/web:9/proxy/", "")
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "error trying to reach service: dial tcp 10.244.0.7:9: connect: connection refused") {
		t.Errorf("a Pod that does not listen: %s %s", answer.Status, body)
	}
}

func TestProxyPassesWebSocketsOn(t *testing.T) {
	server, _ := withPods(t)
	config := overTLS(t, server)
	secure, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{"pods/web", "services/plain"} {
		at := strings.Replace(config.Host, "https:", "wss:", 1) + "/api/v1/namespaces/default/" + object + "/proxy/echo"
		conn, _, err := (&websocket.Dialer{TLSClientConfig: secure}).DialContext(t.Context(), at, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, message, err := conn.ReadMessage(); string(message) != "hello" || err != nil {
			t.Errorf("%s: %q came back, %v", object, message, err)
		}
		conn.Close()
	}
}

// TestProxiedAnswersStream: what is written arrives while the request goes on,
// and the Pod learns that the client has left, or that the server stops.
func TestProxiedAnswersStream(t *testing.T) {
	for name, end := range map[string]func(*apitest.Server, *http.Response){
		"the client leaves": func(_ *apitest.Server, answer *http.Response) { answer.Body.Close() },
		"the server stops":  func(server *apitest.Server, _ *http.Response) { server.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			server, network := withPods(t)
			config := overTLS(t, server)
			transport, err := rest.TransportFor(config)
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), "GET", config.Host+"/api/v1/namespaces/default/services/plain/proxy/wait", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if line, err := bufio.NewReader(answer.Body).ReadString('\n'); line != "waiting\n" || err != nil {
				t.Fatalf("got %q, %v", line, err)
			}
			end(server, answer)
			awaitClosed(t, "the end of the Pod's request", network.ended)
		})
	}
}
