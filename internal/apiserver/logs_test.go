package apiserver_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
)

// machine is a node whose agent answers with what it was asked, and for
// follow goes on until the caller has enough.
type machine struct {
	name  string
	ended chan struct{}
}

func (m machine) Node(name string) (http.Handler, error) {
	if name != m.name {
		return nil, fmt.Errorf("no agent serves node %q", name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s?%s\n", r.URL.Path, r.URL.RawQuery)
		if r.URL.Query().Get("follow") != "true" {
			return
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(m.ended)
	}), nil
}

func startWithPod(t *testing.T, node string) (*apitest.Server, machine) {
	t.Helper()
	agent := machine{name: "here", ended: make(chan struct{})}
	server := apitest.Start(t, apitest.WithConfig(func(c *apiserver.Config) { c.Nodes = agent }))
	client := server.Client(t)
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return server, agent
}

func TestLogsComeFromTheAgent(t *testing.T) {
	server, _ := startWithPod(t, "here")
	k := newKubectl(t, server)
	contains(t, k.must("logs", "web"), "/containerLogs/default/web/c?")
	contains(t, k.must("logs", "web", "-c", "c", "--tail=5", "--timestamps", "--previous"), "tailLines=5", "timestamps=true", "previous=true")
	contains(t, k.fails("logs", "web", "-c", "other"), "container other is not valid for pod web")
	contains(t, k.fails("logs", "ghost"), `pods "ghost" not found`)
}

func TestLogsOfANodeWithoutAgentSayWhy(t *testing.T) {
	server, _ := startWithPod(t, "elsewhere")
	contains(t, newKubectl(t, server).fails("logs", "web"), `no agent serves node "elsewhere"`)
}

// TestFollowedLogsStream covers TLS and in-process: lines arrive while the
// request goes on, and the agent learns that the caller has left.
func TestFollowedLogsStream(t *testing.T) {
	for _, transport := range []string{"tls", "in-process"} {
		t.Run(transport, func(t *testing.T) {
			server, agent := startWithPod(t, "here")
			config := server.Admin()
			if transport == "tls" {
				config = overTLS(t, server)
			}
			stream, err := clientOf(t, config).CoreV1().Pods("default").GetLogs("web", &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stream).ReadString('\n')
			if err != nil && err != io.EOF || !strings.Contains(line, "follow=true") {
				t.Errorf("got %q, %v", line, err)
			}
			stream.Close()
			awaitClosed(t, "the agent's end", agent.ended)
		})
	}
}

// TestLogsOverAWebSocket: clients in browsers follow a log this way.
func TestLogsOverAWebSocket(t *testing.T) {
	server, agent := startWithPod(t, "here")
	config := overTLS(t, server)
	secure, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Replace(config.Host, "https:", "wss:", 1) + "/api/v1/namespaces/default/pods/web/log?"
	for protocol, want := range map[string]string{
		"binary.k8s.io":        "/containerLogs/default/web/c?tailLines=5\n",
		"base64.binary.k8s.io": base64.StdEncoding.EncodeToString([]byte("/containerLogs/default/web/c?tailLines=5\n")),
	} {
		conn, _, err := (&websocket.Dialer{TLSClientConfig: secure, Subprotocols: []string{protocol}}).DialContext(t.Context(), at+"tailLines=5", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, message, err := conn.ReadMessage(); string(message) != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", protocol, message, err, want)
		}
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("%s: the end is %v", protocol, err)
		}
		conn.Close()
	}
	conn, _, err := (&websocket.Dialer{TLSClientConfig: secure}).DialContext(t.Context(), at+"follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, message, err := conn.ReadMessage(); !strings.Contains(string(message), "follow=true") || err != nil {
		t.Errorf("got %q, %v", message, err)
	}
	conn.Close()
	awaitClosed(t, "the agent's end", agent.ended)
}
