package ingress

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func TestRequestsAreSpread(t *testing.T) {
	e := newEntrance(t, pod(t, named("a")), pod(t, named("b")))
	answers := map[string]int{}
	for range 100 {
		status, body := e.ask(t, http.MethodGet, "")
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		answers[body]++
	}
	// 100 fair coins with fewer than 20 heads are one in a billion.
	if answers["a"] < 20 || answers["b"] < 20 {
		t.Errorf("spread as %v", answers)
	}
}

// A Pod that refuses connections got nothing: whatever the request was, another
// Pod gets it, with the whole body.
func TestAPodThatRefusesIsPassedOver(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	e := newEntrance(t, nobody(t), nobody(t), nobody(t), pod(t, echo))
	for range 30 {
		if status, body := e.ask(t, http.MethodPost, "order"); status != http.StatusOK || body != "order" {
			t.Fatalf("%d %q", status, body)
		}
	}
}

// cutting reads a request and ends the connection instead of answering.
func cutting(t *testing.T, seen *atomic.Int32) target {
	return rawPod(t, func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			io.Copy(io.Discard, request.Body)
			seen.Add(1)
		}
	})
}

func TestAConnectionCutBeforeTheAnswer(t *testing.T) {
	var seen atomic.Int32
	e := newEntrance(t, cutting(t, &seen), pod(t, named("whole")))
	t.Run("is no loss for a request that may be repeated", func(t *testing.T) {
		for range 30 {
			if status, body := e.ask(t, http.MethodGet, ""); status != http.StatusOK || body != "whole" {
				t.Fatalf("%d %q", status, body)
			}
		}
		if seen.Load() == 0 {
			t.Error("no request was cut: this shows nothing")
		}
	})
	t.Run("is told where it may have been carried out", func(t *testing.T) {
		seen.Store(0)
		failed := int32(0)
		for range 40 {
			switch status, body := e.ask(t, http.MethodPost, "order"); {
			case status == http.StatusBadGateway && body == "Service default/web:80 closed or refused the connection before it answered":
				failed++
			case status != http.StatusOK:
				t.Fatalf("%d %q", status, body)
			}
		}
		if failed == 0 || failed != seen.Load() {
			t.Errorf("%d were carried out and cut, %d were told so", seen.Load(), failed)
		}
	})
}

// An answer that has begun is not begun again.
func TestAnAnswerThatIsCutStaysCut(t *testing.T) {
	e := newEntrance(t, pod(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}), pod(t, named("other")))
	for range 20 {
		response, err := e.server.Client().Get(e.server.URL)
		if err != nil {
			continue // cut before the client had any of it
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if string(body) != "other" && err == nil {
			t.Errorf("a cut answer looks whole: %q", body)
		}
	}
}

func TestWhoIsToBlameIsSaid(t *testing.T) {
	silent := make(chan struct{})
	defer close(silent)
	slow := pod(t, func(http.ResponseWriter, *http.Request) { <-silent })
	for _, c := range []struct {
		name   string
		pods   []target
		status int
		text   string
	}{
		{"nobody is ready", nil, 503, "Service default/web:80 has no ready endpoint"},
		{"nobody listens", []target{nobody(t)}, 502, "Service default/web:80 closed or refused the connection before it answered"},
		{"no answer", []target{slow}, 504, "Service default/web:80 did not answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEntrance(t)
			e.set(50*time.Millisecond, c.pods, nil)
			if status, text := e.ask(t, http.MethodGet, ""); status != c.status || text != c.text {
				t.Errorf("%d %q, want %d %q", status, text, c.status, c.text)
			}
		})
	}
	t.Run("no Service", func(t *testing.T) {
		e := newEntrance(t)
		ingress := ingressFor("web", "", "web")
		ingress.Spec.Rules[0].HTTP.Paths[0].Backend = networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{Kind: "Bucket", Name: "files"}}
		e.pool.now.table, _ = NewTable([]*networkingv1.Ingress{ingress})
		want := `the backend Bucket "files" is no Service: only Services are served`
		if status, text := e.ask(t, http.MethodGet, ""); status != 503 || text != want {
			t.Errorf("%d %q", status, text)
		}
	})
	t.Run("no rule", func(t *testing.T) {
		e := newEntrance(t)
		e.pool.replace(served{}, e.begun.Add(1))
		want := `no Ingress has a rule for host "127.0.0.1" and path "/path"`
		if status, text := e.ask(t, http.MethodGet, ""); status != 404 || text != want {
			t.Errorf("%d %q", status, text)
		}
	})
}

// The time for an answer begins when the request was sent: uploads may be slow.
func TestASlowUploadIsNotLate(t *testing.T) {
	e := newEntrance(t)
	e.set(time.Second, []target{pod(t, named("got it"))}, nil)
	reader, writer := io.Pipe()
	go func() {
		for range 5 {
			io.WriteString(writer, "part")
			time.Sleep(300 * time.Millisecond) // a slow client is what this is about
		}
		writer.Close()
	}()
	request, err := http.NewRequest(http.MethodPost, e.server.URL, reader)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, e.server.Client(), request); status != http.StatusOK || body != "got it" {
		t.Errorf("%d %q", status, body)
	}
}

func TestTheProgramLearnsWhoAsks(t *testing.T) {
	var got *http.Request
	e := newEntrance(t, pod(t, func(_ http.ResponseWriter, r *http.Request) { got = r }))
	request, err := http.NewRequest(http.MethodGet, e.server.URL+"/a%2Fb?x=1;y", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "shop.example"
	for _, forged := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded"} {
		request.Header.Set(forged, "6.6.6.6")
	}
	request.Header.Set("Accept-Encoding", "own")
	do(t, e.server.Client(), request)
	_, port, _ := strings.Cut(strings.TrimPrefix(e.server.URL, "http://"), ":")
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": port,
		"X-Real-Ip": "127.0.0.1", "Forwarded": "", "Accept-Encoding": "own",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	if got.Host != "shop.example" || got.RequestURI != "/a%2Fb?x=1;y" {
		t.Errorf("host %q, URI %q", got.Host, got.RequestURI)
	}
}

// gRPC servers speak HTTP/2 without TLS.
func TestCleartextHTTP2(t *testing.T) {
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })}
	server.Protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Close()
	speaking := targetOf(listener.Addr())
	speaking.cleartext2 = true
	if status, body := newEntrance(t, speaking).ask(t, http.MethodGet, ""); status != http.StatusOK || body != "HTTP/2.0" {
		t.Errorf("%d %q", status, body)
	}
}
