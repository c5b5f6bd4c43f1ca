package inprocess

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// limit is how long anything here may take.
const limit = 10 * time.Second

func transportTo(handler http.HandlerFunc) *Transport {
	target := &Handler{}
	target.Set(handler)
	return &Transport{Handler: target, Caller: &user.DefaultInfo{Name: "alice", Groups: []string{"painters"}}}
}

func request(t *testing.T, ctx context.Context, method, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://in-process/api/v1/pods?limit=5", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("not in time: %s", what)
	}
}

func TestAnswerIsHandedOverWhole(t *testing.T) {
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.RequestURI+" "+string(sent))
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot) // too late
		io.WriteString(w, "made")
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "POST", "please"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusCreated || string(content) != "made" || response.ContentLength != 4 {
		t.Errorf("got %d %q of length %d", response.StatusCode, content, response.ContentLength)
	}
	if got := response.Header.Get("X-Seen"); got != "/api/v1/pods?limit=5 please" {
		t.Errorf("the handler saw %q", got)
	}
}

func TestStreamArrivesAsItIsFlushed(t *testing.T) {
	next := make(chan struct{})
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			io.WriteString(w, "event")
			w.(http.Flusher).Flush()
			<-next
		}
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for range 3 {
		event := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, event); err != nil || string(event) != "event" {
			t.Fatalf("got %q, %v", event, err)
		}
		next <- struct{}{}
	}
	if _, err := response.Body.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end of the stream is %v", err)
	}
}

func TestClosingTheBodyEndsTheHandler(t *testing.T) {
	ended := make(chan struct{})
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	within(t, "the handler's end", ended)
}

func TestClosingTheBodyFreesABlockedWrite(t *testing.T) {
	ended := make(chan struct{})
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		for {
			if _, err := io.WriteString(w, "nobody reads this"); err != nil {
				return
			}
		}
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	within(t, "the handler's end", ended)
}

func TestCancellationEndsCallAndHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		cancel()
		<-r.Context().Done()
		io.WriteString(w, "too late")
	})
	if _, err := transport.RoundTrip(request(t, ctx, "GET", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	within(t, "the handler's end", ended)
}

func TestCancellationEndsAStream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	response, err := transport.RoundTrip(request(t, ctx, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	read := make(chan struct{})
	go func() {
		// With an error, or without if the handler's end was quicker.
		io.Copy(io.Discard, response.Body)
		close(read)
	}()
	within(t, "the stream's end", read)
	within(t, "the handler's end", ended)
}

func TestPanicEndsOneCallOnly(t *testing.T) {
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			panic("broken")
		}
	})
	if _, err := transport.RoundTrip(request(t, t.Context(), "PUT", "")); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
	if response, err := transport.RoundTrip(request(t, t.Context(), "GET", "")); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the next call got %v, %v", response, err)
	}
}

func TestAbortedStreamDoesNotLookWhole(t *testing.T) {
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if content, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("read %q without an error", content)
	}
}

func TestLargeAnswerStreamsWithoutAFlush(t *testing.T) {
	const size = 5 * bufferLimit
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		for sent := 0; sent < size; sent += len(chunk) {
			w.Write(chunk)
		}
	})
	response, err := transport.RoundTrip(request(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestOnlyATransportMakesAnIdentity(t *testing.T) {
	var seen user.Info
	transport := transportTo(func(w http.ResponseWriter, r *http.Request) {
		if response, ok, _ := (Authenticator{}).AuthenticateRequest(r); ok {
			seen = response.User
		}
	})
	if _, err := transport.RoundTrip(request(t, t.Context(), "GET", "")); err != nil {
		t.Fatal(err)
	}
	if seen == nil || seen.GetName() != "alice" || seen.GetGroups()[0] != "painters" {
		t.Errorf("a call through the transport is from %v", seen)
	}
	outside := request(t, context.WithValue(t.Context(), struct{}{}, &user.DefaultInfo{Name: "mallory"}), "GET", "")
	outside.Header.Set("X-Remote-User", "mallory")
	if response, ok, err := (Authenticator{}).AuthenticateRequest(outside); ok || err != nil {
		t.Errorf("an outside request is from %v, %v", response, err)
	}
}

func TestCallBeforeTheServerIsBuiltFails(t *testing.T) {
	transport := &Transport{Handler: &Handler{}, Caller: &user.DefaultInfo{}}
	if _, err := transport.RoundTrip(request(t, t.Context(), "GET", "")); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("got %v", err)
	}
}
