package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// stream opens a stream at the agent, as the API server does.
func (n *node) stream(t *testing.T, path string, query url.Values, streams remotecommand.StreamOptions) error {
	t.Helper()
	server := httptest.NewServer(n.agent.Handler())
	defer server.Close()
	at, err := url.Parse(server.URL + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{Host: server.URL}, http.MethodPost, at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	return executor.StreamWithContext(ctx, streams)
}

func TestStreamsLeadIntoContainers(t *testing.T) {
	n := theNode(t)
	n.create(t, n.box("streamed", "forever"))
	n.await(t, "streamed", "Ready", isReady)
	var out bytes.Buffer
	command := func(words ...string) url.Values { return url.Values{"command": words, "output": {"1"}} }
	if err := n.stream(t, "/exec/default/streamed/c", command("/box", "cat=/etc/hostname"), remotecommand.StreamOptions{Stdout: &out}); err != nil || !strings.Contains(out.String(), "streamed") {
		t.Errorf("got %q, %v", &out, err)
	}
	err := n.stream(t, "/exec/default/streamed/c", command("/box", "exit=7"), remotecommand.StreamOptions{Stdout: &out})
	if code := (exec.CodeExitError{}); !errors.As(err, &code) || code.ExitStatus() != 7 {
		t.Errorf("exit code 7 came as %v", err)
	}
	for path, want := range map[string]string{
		"/exec/default/streamed/other":  `container not found ("other")`,
		"/exec/default/ghost/c":         `container not found ("c")`,
		"/attach/default/streamed/none": `container not found ("none")`,
	} {
		if err := n.stream(t, path, command("/box"), remotecommand.StreamOptions{Stdout: &out}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestAttachHasTheTerminalOfTheContainer: asked for without one, the streams of
// a container with a terminal are nevertheless those of a terminal. It repeats
// what is typed, and who types no more leaves it without ending its stdin.
func TestAttachHasTheTerminalOfTheContainer(t *testing.T) {
	n := theNode(t)
	pod := n.box("terminal", "forever")
	pod.Spec.Containers[0].TTY, pod.Spec.Containers[0].Stdin = true, true
	pod.Spec.Containers[0].StdinOnce = true
	n.create(t, pod)
	n.await(t, "terminal", "Ready", isReady)
	query := url.Values{"input": {"1"}, "output": {"1"}, "error": {"1"}}
	for attached := range 2 {
		keys := &typing{repeated: make(chan struct{})}
		if err := n.stream(t, "/attach/default/terminal/c", query, remotecommand.StreamOptions{Stdin: keys, Stdout: keys, Tty: true}); err != nil {
			t.Errorf("attaching, time %d: %v", attached+1, err)
		}
		select {
		case <-keys.repeated:
		default:
			t.Errorf("stream %d ended before the terminal repeated a key", attached+1)
		}
	}
}

// typing presses a key again and again, until the terminal has repeated it.
type typing struct {
	once     sync.Once
	repeated chan struct{}
}

func (k *typing) Read(p []byte) (int, error) {
	select {
	case <-k.repeated:
		return 0, io.EOF
	case <-time.After(20 * time.Millisecond):
		p[0] = 'x'
		return 1, nil
	}
}

func (k *typing) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("x")) {
		k.once.Do(func() { close(k.repeated) })
	}
	return len(p), nil
}

func TestPortsAreRead(t *testing.T) {
	for text, want := range map[string][]int32{"": nil, "80": {80}, "80,65535": {80, 65535}} {
		if got, err := readPorts(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "65536", "-1", "80,", "http"} {
		if got, err := readPorts(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
