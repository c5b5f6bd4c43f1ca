package apiserver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
)

// streamLimit is how long one stream may take.
const streamLimit = 30 * time.Second

// withStreams starts a server whose node serves streams, with the Pods web
// (one container), two (several), loose (on no node) and lost (on another).
func withStreams(t *testing.T) (*apitest.Server, *streamingNode) {
	t.Helper()
	node := newStreamingNode(t)
	server := apitest.Start(t, apitest.WithConfig(func(c *apiserver.Config) { c.Nodes = node }))
	client := server.Client(t)
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]corev1.PodSpec{
		"web":   {NodeName: "here", InitContainers: containers("first"), Containers: containers("c")},
		"two":   {NodeName: "here", InitContainers: containers("first"), Containers: containers("a", "b", "stopped")},
		"loose": {Containers: containers("c")},
		"lost":  {NodeName: "elsewhere", Containers: containers("c")},
	} {
		if _, err := client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return server, node
}

func containers(names ...string) (list []corev1.Container) {
	for _, name := range names {
		list = append(list, corev1.Container{Name: name, Image: "i"})
	}
	return list
}

// streamURL is the address of a subresource of a Pod of the test.
func streamURL(t *testing.T, config *rest.Config, pod, subresource string, options any) *url.URL {
	t.Helper()
	request := clientOf(t, config).CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name(pod).SubResource(subresource)
	switch o := options.(type) {
	case *corev1.PodExecOptions:
		request.VersionedParams(o, scheme.ParameterCodec)
	case *corev1.PodAttachOptions:
		request.VersionedParams(o, scheme.ParameterCodec)
	}
	return request.URL()
}

// transports are the ways that clients open streams.
var transports = map[string]func(*rest.Config, *url.URL) (remotecommand.Executor, error){
	"spdy": func(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewSPDYExecutor(config, http.MethodPost, at)
	},
	"websocket": func(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutor(config, http.MethodGet, at.String())
	},
	"websocket of old": func(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutorForProtocols(config, http.MethodGet, at.String(), "v4.channel.k8s.io")
	},
}

// streamed runs a command by one transport, and returns both outputs.
func streamed(t *testing.T, ctx context.Context, config *rest.Config, transport, pod string, options *corev1.PodExecOptions, streams remotecommand.StreamOptions) (stdout, stderr string, err error) {
	t.Helper()
	options.Stdin, options.Stdout, options.Stderr, options.TTY = streams.Stdin != nil, true, !streams.Tty, streams.Tty
	executor, err := transports[transport](config, streamURL(t, config, pod, "exec", options))
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if streams.Stdout == nil {
		streams.Stdout = &out
	}
	if options.Stderr {
		streams.Stderr = &errs
	}
	ctx, cancel := context.WithTimeout(ctx, streamLimit)
	defer cancel()
	err = executor.StreamWithContext(ctx, streams)
	return out.String(), errs.String(), err
}

func TestExec(t *testing.T) {
	server, node := withStreams(t)
	config := overTLS(t, server)
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			run := func(streams remotecommand.StreamOptions, command ...string) (string, string, error) {
				return streamed(t, t.Context(), config, transport, "web", &corev1.PodExecOptions{Command: command}, streams)
			}
			if out, _, err := run(remotecommand.StreamOptions{}, "where", "a b", "", "c"); out != `default/web/c ["where" "a b" "" "c"] false` || err != nil {
				t.Errorf("the container got %q, %v", out, err)
			}
			if out, errs, err := run(remotecommand.StreamOptions{}, "both"); out != "to stdout" || errs != "to stderr" || err != nil {
				t.Errorf("got %q and %q, %v", out, errs, err)
			}
			_, _, err := run(remotecommand.StreamOptions{}, "exit3")
			if code := (exec.CodeExitError{}); !errors.As(err, &code) || code.ExitStatus() != 3 {
				t.Errorf("exit code 3 came as %v", err)
			}
			out, _, err := run(remotecommand.StreamOptions{Tty: true, TerminalSizeQueue: &oneSize{}, Stdin: strings.NewReader("")}, "size")
			if out != "132 columns, 43 rows" || err != nil {
				t.Errorf("the terminal has %q, %v", out, err)
			}
			eventually(t, "the agent's streams end", func() bool { return node.open.Load() == 0 })
		})
	}
}

// oneSize resizes a terminal once.
type oneSize struct{ done bool }

func (s *oneSize) Next() *remotecommand.TerminalSize {
	if s.done {
		return nil
	}
	s.done = true
	return &remotecommand.TerminalSize{Width: 132, Height: 43}
}

// TestStreamsAreWhole sends much through cat, whose end is the end of stdin.
// Protocols before v5 cannot say over a WebSocket that stdin has ended.
func TestStreamsAreWhole(t *testing.T) {
	server, _ := withStreams(t)
	config := overTLS(t, server)
	const size = 16 << 20
	for _, transport := range []string{"spdy", "websocket"} {
		for _, subresource := range []string{"exec", "attach"} {
			t.Run(transport+" "+subresource, func(t *testing.T) {
				var options any = &corev1.PodExecOptions{Command: []string{"cat"}, Stdin: true, Stdout: true}
				if subresource == "attach" {
					options = &corev1.PodAttachOptions{Container: "c", Stdin: true, Stdout: true}
				}
				executor, err := transports[transport](config, streamURL(t, config, "web", subresource, options))
				if err != nil {
					t.Fatal(err)
				}
				sent, received := sha256.New(), sha256.New()
				ctx, cancel := context.WithTimeout(t.Context(), streamLimit)
				defer cancel()
				source := io.TeeReader(io.LimitReader(&counter{}, size), sent)
				if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: source, Stdout: received}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
					t.Errorf("what came back of %d bytes is not what was sent", size)
				}
			})
		}
	}
}

// counter is an endless stream in which no two places look the same.
type counter struct{ at uint32 }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.at >> (8 * (c.at % 4)))
		c.at++
	}
	return len(p), nil
}

func TestExecIsRefusedInWords(t *testing.T) {
	server, _ := withStreams(t)
	config := overTLS(t, server)
	k := newKubectl(t, server)
	contains(t, k.fails("exec", "web", "-c", "other", "--", "where"), "container other is not valid for pod web")
	contains(t, k.fails("exec", "ghost", "--", "where"), `pods "ghost" not found`)
	contains(t, k.fails("exec", "loose", "--", "where"), "pod loose does not have a host assigned")
	contains(t, k.fails("exec", "lost", "--", "where"), `no agent serves node "elsewhere"`)
	contains(t, k.fails("exec", "two", "-c", "stopped", "--", "where"), `unable to upgrade connection: container not found ("stopped")`)
	contains(t, k.must("exec", "two", "-c", "b", "--", "where"), "default/two/b")
	for transport := range transports {
		_, _, err := streamed(t, t.Context(), config, transport, "two", &corev1.PodExecOptions{Command: []string{"where"}}, remotecommand.StreamOptions{})
		if want := "a container name must be specified for pod two, choose one of: [first a b stopped]"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: without a name: %v, want %q", transport, err, want)
		}
	}
	contains(t, k.fails("create", "--raw", "/api/v1/namespaces/default/pods/web/exec?command=where&stdout=true", "-f", k.file("empty", "")), "Upgrade request required")
	contains(t, k.fails("get", "--raw", "/api/v1/namespaces/default/pods/web/portforward?ports=0"), `ports: "0" is not a number from 1 to 65535`)
}

// TestWebSocketsNeedTheRightToCreate: a GET is what reading is, too.
func TestWebSocketsNeedTheRightToCreate(t *testing.T) {
	server, _ := withStreams(t)
	client := server.Client(t)
	for name, verbs := range map[string][]string{"reader": {"get"}, "writer": {"create"}, "both": {"get", "create"}} {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
			{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"pods/exec", "pods/attach", "pods/portforward"}}}}
		if _, err := client.RbacV1().Roles("default").Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: "default"}}}
		if _, err := client.RbacV1().RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	tokens := map[string]string{"reader": tokenOf(t, server, "reader"), "writer": tokenOf(t, server, "writer"), "both": tokenOf(t, server, "both")}
	run := func(who, transport string) error {
		_, _, err := streamed(t, t.Context(), bearing(server, tokens[who]), transport, "web", &corev1.PodExecOptions{Command: []string{"where"}}, remotecommand.StreamOptions{})
		return err
	}
	eventually(t, "the roles are known", func() bool {
		return run("both", "spdy") == nil && run("both", "websocket") == nil && run("writer", "spdy") == nil
	})
	if err := run("writer", "websocket"); err == nil || !strings.Contains(err.Error(), `cannot get resource "pods/exec"`) {
		t.Errorf("who may create only opened a WebSocket: %v", err)
	}
	for _, transport := range []string{"spdy", "websocket", "websocket of old"} {
		want := `User "system:serviceaccount:default:reader" cannot create resource "pods/exec" in API group "" in the namespace "default"`
		if err := run("reader", transport); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: who may read ran a command: %v, want %q", transport, err, want)
		}
	}
	for _, subresource := range []string{"attach", "portforward"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/namespaces/default/pods/web/"+subresource, nil)
		if err != nil {
			t.Fatal(err)
		}
		transport, err := rest.TransportFor(bearing(server, tokens["reader"]))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s by who may read is answered with %d", subresource, answer.StatusCode)
		}
	}
}

// TestStreamEndsWithItsClient: a command that says nothing more, and reads
// nothing, does not keep a stream that nobody listens to.
func TestStreamEndsWithItsClient(t *testing.T) {
	server, node := withStreams(t)
	config := overTLS(t, server)
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			_, _, err := streamed(t, ctx, config, transport, "web", &corev1.PodExecOptions{Command: []string{"wait"}}, remotecommand.StreamOptions{Stdout: onWrite(leave)})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the client ended with %v", err)
			}
			eventually(t, "the agent's stream ends", func() bool { return node.open.Load() == 0 })
		})
	}
}

// onWrite calls a function when something is written.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestStreamEndsWithTheServer(t *testing.T) {
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			server, node := withStreams(t)
			config := overTLS(t, server)
			began, ended := make(chan struct{}, 1), make(chan error, 1)
			go func() {
				_, _, err := streamed(t, context.WithoutCancel(t.Context()), config, transport, "web", &corev1.PodExecOptions{Command: []string{"wait"}},
					remotecommand.StreamOptions{Stdout: onWrite(func() { began <- struct{}{} })})
				ended <- err
			}()
			select {
			case <-began:
			case err := <-ended:
				t.Fatalf("the command did not begin: %v", err)
			}
			server.Stop()
			select {
			case <-ended: // without an error over SPDY, whose client takes the end for success
			case <-time.After(streamLimit):
				t.Error("the stream goes on")
			}
			eventually(t, "the agent's stream ends", func() bool { return node.open.Load() == 0 })
		})
	}
}

func TestPortForward(t *testing.T) {
	server, node := withStreams(t)
	config := overTLS(t, server)
	at := streamURL(t, config, "web", "portforward", nil)
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(at, config)
	if err != nil {
		t.Fatal(err)
	}
	for name, dialer := range map[string]httpstream.Dialer{
		"spdy":      spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at),
		"websocket": tunnel,
	} {
		t.Run(name, func(t *testing.T) {
			ready := make(chan struct{})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			forwarder, err := portforward.NewOnAddressesWithContext(ctx, dialer, []string{"127.0.0.1"}, []string{":8080", ":9090"}, ready, io.Discard, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- forwarder.ForwardPorts() }()
			select {
			case <-ready:
			case err := <-ended:
				t.Fatalf("the forwarding did not begin: %v", err)
			}
			ports, err := forwarder.GetPorts()
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				for _, port := range ports {
					if got, want := talk(t, port.Local, "hello"), fmt.Sprintf("default/web:%d hello", port.Remote); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
			}
			stop()
			<-ended
			eventually(t, "the agent's stream ends", func() bool { return node.open.Load() == 0 })
		})
	}
}

// TestPortForwardOverChannels is what clients do that have no SPDY: two
// channels for each port, whose first message is the port.
func TestPortForwardOverChannels(t *testing.T) {
	server, node := withStreams(t)
	config := overTLS(t, server)
	secure, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &websocket.Dialer{TLSClientConfig: secure, Subprotocols: []string{"v4.channel.k8s.io"}}
	at := strings.Replace(config.Host, "https:", "wss:", 1) + "/api/v1/namespaces/default/pods/web/portforward?ports=8080&ports=9090"
	conn, _, err := dialer.DialContext(t.Context(), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.BinaryMessage, []byte("\x02hello")); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(streamLimit))
	received := map[byte]string{}
	for want := binary.LittleEndian.AppendUint16(nil, 9090); received[2] != string(want)+"default/web:9090 hello"; {
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("after %q: %v", received, err)
		}
		received[message[0]] += string(message[1:])
	}
	conn.Close()
	eventually(t, "the agent's stream ends", func() bool { return node.open.Load() == 0 })
}

// talk sends a text to a port and returns all that is answered.
func talk(t *testing.T, port uint16, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), streamLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(streamLimit))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
