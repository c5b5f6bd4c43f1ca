package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/util/proxy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"
)

// streamingNode is the node "here", whose agent leads streams to a runtime's
// streaming server, as a real one does. The runtime behind it is a few
// functions: there are no containers.
type streamingNode struct {
	streams streaming.Server
	// open counts the requests that the agent serves now.
	open atomic.Int32
	// released ends commands that wait.
	released chan struct{}
}

func newStreamingNode(t *testing.T) *streamingNode {
	n := &streamingNode{released: make(chan struct{})}
	// The address is known before the handler is, which needs it.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.streams.ServeHTTP(w, r) }))
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	config := streaming.DefaultConfig
	config.BaseURL = base
	if n.streams, err = streaming.NewServer(config, program{n}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(n.released); server.Close() })
	return n
}

func (n *streamingNode) Node(name string) (http.Handler, error) {
	if name != "here" {
		return nil, fmt.Errorf("no agent serves node %q", name)
	}
	return http.HandlerFunc(n.serve), nil
}

// serve is the agent: /exec/namespace/pod/container and so on.
func (n *streamingNode) serve(w http.ResponseWriter, r *http.Request) {
	n.open.Add(1)
	defer n.open.Add(-1)
	path, query := strings.Split(r.URL.Path, "/"), r.URL.Query()
	on := func(name string) bool { return query.Get(name) == "1" }
	name := strings.Join(path[2:], "/")
	target := ""
	switch path[1] {
	case "exec":
		answer, _ := n.streams.GetExec(&runtimeapi.ExecRequest{ContainerId: name, Cmd: query["command"],
			Stdin: on("input"), Stdout: on("output"), Stderr: on("error"), Tty: on("tty")})
		target = answer.GetUrl()
	case "attach":
		answer, _ := n.streams.GetAttach(&runtimeapi.AttachRequest{ContainerId: name,
			Stdin: on("input"), Stdout: on("output"), Stderr: on("error"), Tty: on("tty")})
		target = answer.GetUrl()
	case "portForward":
		request := &runtimeapi.PortForwardRequest{PodSandboxId: name}
		for text := range strings.SplitSeq(query.Get("port"), ",") {
			if port, err := strconv.Atoi(text); err == nil {
				request.Port = append(request.Port, int32(port))
			}
		}
		answer, _ := n.streams.GetPortForward(request)
		target = answer.GetUrl()
	}
	location, err := url.Parse(target)
	if err != nil || target == "" || strings.HasSuffix(name, "/stopped") {
		http.Error(w, fmt.Sprintf("container not found (%q)", path[len(path)-1]), http.StatusNotFound)
		return
	}
	proxy.NewUpgradeAwareHandler(location, nil, false, true, refusals{}).ServeHTTP(w, r)
}

type refusals struct{}

func (refusals) Error(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// program is the runtime: what a "container" does with its streams.
type program struct{ node *streamingNode }

func (p program) Exec(_ context.Context, container string, command []string, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize) error {
	switch command[0] {
	case "cat":
		_, err := io.Copy(stdout, stdin)
		return err
	case "where":
		fmt.Fprintf(stdout, "%s %q %t", container, command, tty)
	case "both":
		io.WriteString(stdout, "to stdout")
		io.WriteString(stderr, "to stderr")
	case "size":
		size := <-sizes
		fmt.Fprintf(stdout, "%d columns, %d rows", size.Width, size.Height)
	case "wait":
		io.WriteString(stdout, "waiting")
		<-p.node.released
	case "exit3":
		return exec.CodeExitError{Err: errors.New("it ended with 3"), Code: 3}
	}
	return nil
}

func (p program) Attach(ctx context.Context, container string, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize) error {
	return p.Exec(ctx, container, []string{"cat"}, stdin, stdout, stderr, tty, sizes)
}

// PortForward answers what it is sent with the Pod and the port before it.
func (p program) PortForward(_ context.Context, pod string, port int32, stream io.ReadWriteCloser) error {
	fmt.Fprintf(stream, "%s:%d ", pod, port)
	buffer := make([]byte, 1<<10)
	n, err := stream.Read(buffer)
	if err != nil {
		return err
	}
	_, err = stream.Write(buffer[:n])
	return err
}
