package ingress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// attemptsMost bounds to how many Pods a request is sent, one after the other.
const attemptsMost = 4

// transport sends requests to Pods, and again to others where that is safe.
type transport struct{ pool *pool }

// failure is why a request got no answer from a Service.
type failure struct {
	backend Backend
	cause   error
}

func (f *failure) Error() string { return "Service " + f.backend.String() + ": " + f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// errNoAnswer is a Service that takes longer than its Route allows.
var errNoAnswer = errors.New("no answer in time")

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	var tried []target
	var last error
	for {
		u, route, err := t.pool.take(request.Host, request.URL.Path, tried)
		if errors.Is(err, errNoRoute) {
			return nil, err
		}
		if err != nil {
			if last != nil {
				err = last
			}
			return nil, &failure{route.Backend, err}
		}
		attempt, body := attemptOf(request, u)
		response, err := u.send(attempt, route.Timeout)
		if err == nil {
			t.hold(response, u)
			return response, nil
		}
		t.pool.release(u)
		tried, last = append(tried, u.target), err
		if !body.giveUp() || !mayRepeat(request, err) || len(tried) == attemptsMost {
			return nil, &failure{route.Backend, err}
		}
	}
}

// attemptOf is the request as one Pod gets it.
func attemptOf(request *http.Request, u *upstream) (*http.Request, *attemptBody) {
	attempt := request.WithContext(request.Context())
	url := *request.URL
	url.Scheme, url.Host = "http", u.address.String()
	attempt.URL = &url
	if request.Body == nil || request.Body == http.NoBody {
		return attempt, nil
	}
	body := &attemptBody{source: request.Body}
	attempt.Body = body
	return attempt, body
}

// send sends a request to one Pod.
func (u *upstream) send(request *http.Request, timeout time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	limit := answerLimit{timeout: timeout, late: func() { cancel(errNoAnswer) }}
	if timeout > 0 {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: limit.begin})
	}
	response, err := u.transport.RoundTrip(request.WithContext(ctx))
	limit.end()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
			err = cause
		}
		cancel(err)
		return nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response, nil // the request's own context ends it
	}
	response.Body = &endingBody{ReadCloser: response.Body, end: func() { cancel(nil) }}
	return response, nil
}

// answerLimit bounds the time from when a Pod has the whole request, which may
// be a long upload, to when its answer begins.
type answerLimit struct {
	timeout time.Duration
	late    func()

	mu    sync.Mutex // the connection's own goroutine begins
	timer *time.Timer
	over  bool
}

func (l *answerLimit) begin(httptrace.WroteRequestInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil && !l.over {
		l.timer = time.AfterFunc(l.timeout, l.late)
	}
}

func (l *answerLimit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// hold counts the request until its answer was read, or not at all once the
// connection is upgraded.
func (t transport) hold(response *http.Response, u *upstream) {
	if response.StatusCode == http.StatusSwitchingProtocols {
		t.pool.release(u)
		return
	}
	response.Body = &endingBody{ReadCloser: response.Body, end: func() { t.pool.release(u) }}
}

// endingBody tells once that an answer is closed.
type endingBody struct {
	io.ReadCloser
	once sync.Once
	end  func()
}

// Close implements io.Closer.
func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.end)
	return err
}

// mayRepeat tells whether a request that failed without an answer may be sent
// to another Pod: the first was never connected to, or the request means the
// same when it is carried out twice.
func mayRepeat(request *http.Request, err error) bool {
	if request.Context().Err() != nil || errors.Is(err, errNoAnswer) {
		return false
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return request.Header.Get("Idempotency-Key") != "" || request.Header.Get("X-Idempotency-Key") != ""
}
