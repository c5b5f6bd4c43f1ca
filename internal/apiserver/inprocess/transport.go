package inprocess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Handler is where Transports send their requests. It may be set after they
// have been made, since the server that they call needs clients itself.
type Handler struct {
	target atomic.Pointer[http.Handler]
}

// Set gives the handler of the finished server.
func (h *Handler) Set(target http.Handler) { h.target.Store(&target) }

// Transport calls Handler as one user.
type Transport struct {
	Handler *Handler
	Caller  user.Info
}

// RoundTrip implements http.RoundTripper. The response is returned when its
// handler has finished, or at its first flush if it streams.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	target := t.Handler.target.Load()
	if target == nil {
		closeBody(request)
		return nil, errors.New("the API server is not ready yet")
	}
	ctx, cancel := context.WithCancel(withIdentity(request.Context(), t.Caller))
	writer := newResponseWriter(request, cancel)
	go serve(*target, writer, incoming(ctx, request))

	select {
	case response := <-writer.response:
		if response == nil {
			return nil, writer.failure()
		}
		return response, nil
	case <-request.Context().Done():
		cancel()
		writer.abandon(request.Context().Err())
		return nil, request.Context().Err()
	}
}

// serve runs the handler as net/http would: a panic ends this request only.
func serve(target http.Handler, writer *responseWriter, request *http.Request) {
	defer func() {
		broken := recover()
		closeBody(request)
		switch {
		case broken == nil:
			writer.finish(nil)
		case broken == http.ErrAbortHandler:
			writer.finish(io.ErrUnexpectedEOF)
		default:
			writer.finish(fmt.Errorf("the API server's handler panicked: %v", broken))
		}
	}()
	target.ServeHTTP(writer, request)
}

// incoming turns a client's request into one as a server sees it.
func incoming(ctx context.Context, request *http.Request) *http.Request {
	served := request.Clone(ctx)
	if served.Body == nil {
		served.Body = http.NoBody
	}
	if served.Host == "" {
		served.Host = served.URL.Host
	}
	served.RequestURI = served.URL.RequestURI()
	served.RemoteAddr = "127.0.0.1:0" // this machine, no port
	served.Proto, served.ProtoMajor, served.ProtoMinor = "HTTP/2.0", 2, 0
	return served
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		request.Body.Close()
	}
}
