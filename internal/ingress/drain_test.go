package ingress

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"coxswain.dev/cox/internal/routing"
)

// slowPod answers each request when it is let, and knows its connections.
type slowPod struct {
	target
	asked chan struct{}
	let   chan struct{}

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
}

func newSlowPod(t *testing.T) *slowPod {
	t.Helper()
	p := &slowPod{asked: make(chan struct{}, 100), let: make(chan struct{}, 100), open: map[net.Conn]http.ConnState{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked <- struct{}{}
		<-p.let
		io.WriteString(w, "late")
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.open[conn] = state; state == http.StateClosed {
			delete(p.open, conn)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	p.target = targetOf(server.Listener.Addr())
	return p
}

func (p *slowPod) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// soon is a context for what must be there at once.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAPodIsWaitedForUntilItHasAnswered(t *testing.T) {
	going, staying := newSlowPod(t), pod(t, named("staying"))
	e := newEntrance(t, going.target)
	ip := going.address.Addr()
	if err := e.Unrouted(soon(t), routing.Leaving{IP: ip}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it serves: %v", err)
	}
	// One connection is idle when the Pod leaves, one has a request.
	going.let <- struct{}{}
	e.ask(t, http.MethodGet, "")
	<-going.asked
	answer := make(chan string, 1)
	go func() {
		_, body := e.ask(t, http.MethodPost, "order")
		answer <- body
	}()
	<-going.asked

	unrouted := make(chan error, 1)
	go func() { unrouted <- e.Unrouted(t.Context(), routing.Leaving{IP: ip}) }()
	e.set(defaultTimeout, nil, []target{going.target})
	if err := <-unrouted; err != nil {
		t.Error(err)
	}
	if err := e.Drained(soon(t), routing.Leaving{IP: ip}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a request under way: %v", err)
	}
	drained := make(chan error, 1)
	go func() { drained <- e.Drained(t.Context(), routing.Leaving{IP: ip}) }()
	e.set(defaultTimeout, []target{staying}, []target{going.target})
	for range 20 {
		if status, body := e.ask(t, http.MethodGet, ""); status != http.StatusOK || body != "staying" {
			t.Fatalf("%d %q came from a Pod on its way out", status, body)
		}
	}
	going.let <- struct{}{}
	if body := <-answer; body != "late" {
		t.Errorf("the request under way got %q", body)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	await(t, "the end of the connections that are kept", func() bool { return going.connections() == 0 })
}

// The last Pod of a Service serves until it is gone.
func TestTheLastPodServesOnItsWayOut(t *testing.T) {
	last := pod(t, named("last"))
	e := newEntrance(t)
	e.set(defaultTimeout, nil, []target{last})
	if status, body := e.ask(t, http.MethodGet, ""); status != http.StatusOK || body != "last" {
		t.Errorf("%d %q", status, body)
	}
	if err := e.Unrouted(soon(t), routing.Leaving{IP: last.address.Addr()}); err != nil {
		t.Error(err)
	}
	// Nor is it tried again and again when it has gone.
	e.set(defaultTimeout, []target{nobody(t)}, []target{last})
	if status, body := e.ask(t, http.MethodGet, ""); status != http.StatusOK || body != "last" {
		t.Errorf("after the only ready Pod has failed: %d %q", status, body)
	}
}

func TestAPodIsRoutedWhenItsServicesAreServed(t *testing.T) {
	there := pod(t, named("there"))
	e := newEntrance(t)
	ip := there.address.Addr()
	if err := e.Routed(soon(t), ip, []string{"default/other"}); err != nil {
		t.Errorf("a Service without an Ingress: %v", err)
	}
	routed := make(chan error, 1)
	go func() { routed <- e.Routed(t.Context(), ip, []string{"default/other", "default/web"}) }()
	if err := e.Routed(soon(t), ip, []string{"default/web"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before it is an endpoint: %v", err)
	}
	e.set(defaultTimeout, []target{there}, nil)
	if err := <-routed; err != nil {
		t.Error(err)
	}
}

// A Pod that is gone leaves nothing behind.
func TestGonePodsAreForgotten(t *testing.T) {
	going := newSlowPod(t)
	e := newEntrance(t, going.target)
	done := make(chan struct{})
	go func() { e.ask(t, http.MethodGet, ""); close(done) }()
	<-going.asked
	e.set(defaultTimeout, nil, nil)
	if len(e.pool.upstreams) != 1 {
		t.Error("a Pod with a request under way was forgotten")
	}
	going.let <- struct{}{}
	<-done
	await(t, "that the Pod is forgotten", func() bool {
		e.pool.mu.RLock()
		defer e.pool.mu.RUnlock()
		return len(e.pool.upstreams) == 0
	})
}

// echoing upgrades every connection and repeats what it gets.
func echoing(t *testing.T) target {
	return pod(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(conn, buffered)
	})
}

func TestWebSocketsPassAndDoNotHoldUpTheirPod(t *testing.T) {
	echo := echoing(t)
	e := newEntrance(t, nobody(t), echo)
	conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	answers := bufio.NewReader(conn)
	response, err := http.ReadResponse(answers, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", response, err)
	}
	e.set(defaultTimeout, nil, []target{echo})
	if err := e.Drained(t.Context(), routing.Leaving{IP: echo.address.Addr()}); err != nil {
		t.Error(err)
	}
	for _, said := range []string{"hello\n", strings.Repeat("x", 100_000) + "\n"} {
		io.WriteString(conn, said)
		if heard, err := answers.ReadString('\n'); err != nil || heard != said {
			t.Fatalf("%d bytes came back, %v", len(heard), err)
		}
	}
}
