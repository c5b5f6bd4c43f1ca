package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// handler answers clients.
type handler struct {
	proxy *httputil.ReverseProxy
	log   *slog.Logger
}

func newHandler(pool *pool, logger *slog.Logger) *handler {
	h := &handler{log: logger}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:      rewrite,
		Transport:    transport{pool},
		ErrorHandler: h.explain,
		ErrorLog:     quiet(logger),
		BufferPool:   &buffers{},
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		http.Error(w, "this is no forward proxy", http.StatusMethodNotAllowed)
		return
	}
	h.proxy.ServeHTTP(w, r)
}

// rewrite tells the program who asked, and how. What a client says of that
// itself is not believed: Rewrite begins without it.
func rewrite(r *httputil.ProxyRequest) {
	r.SetXForwarded()
	r.Out.URL.RawQuery = r.In.URL.RawQuery // the program's matter, as it is
	if local, ok := r.In.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, port, err := net.SplitHostPort(local.String()); err == nil {
			r.Out.Header.Set("X-Forwarded-Port", port)
		}
	}
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		r.Out.Header.Set("X-Real-Ip", client)
	}
}

// explain answers a request that no program did, and says whose matter it is.
func (h *handler) explain(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody listens any more
	}
	status, text := http.StatusBadGateway, ""
	var failed *failure
	var none unserved
	switch {
	case errors.Is(err, errNoRoute):
		status, text = http.StatusNotFound, fmt.Sprintf("no Ingress has a rule for host %q and path %q", plainHost(r.Host), r.URL.Path)
	case !errors.As(err, &failed):
		text = "the request could not be passed on"
	case errors.As(err, &none):
		status, text = http.StatusServiceUnavailable, fmt.Sprintf("%s %s", failed.backend.kinded(), none.trouble)
	case errors.Is(err, errNoAnswer) || isTimeout(err):
		status, text = http.StatusGatewayTimeout, fmt.Sprintf("Service %s did not answer in time", failed.backend)
	default:
		text = fmt.Sprintf("Service %s closed or refused the connection before it answered", failed.backend)
	}
	h.log.Debug("a request was not served", "host", r.Host, "path", r.URL.Path, "status", status, "error", err)
	http.Error(w, text, status)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// buffers are what answers are copied with.
type buffers struct{ pool sync.Pool }

// bufferSize is what io.Copy takes.
const bufferSize = 32 << 10

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

// quiet logs what net/http has to say of clients that went away, for those who
// look for it.
func quiet(logger *slog.Logger) *log.Logger {
	if !logger.Enabled(context.Background(), slog.LevelDebug) {
		return log.New(io.Discard, "", 0)
	}
	return slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
}
