package inprocess

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// bufferLimit is how much of an answer gathers before it is handed over
// although the handler goes on: most answers are smaller, and pass without a
// second goroutine switch per write.
const bufferLimit = 1 << 20

// responseWriter is the server's side of one call. Until the first flush the
// answer gathers in a buffer; after it every write goes to the reader, which
// sets the pace.
type responseWriter struct {
	request *http.Request
	cancel  context.CancelFunc
	// response takes the answer once; nil says that there is none.
	response chan *http.Response

	mu       sync.Mutex
	header   http.Header
	status   int
	buffer   *bytes.Buffer
	stream   *io.PipeWriter // nil until the answer streams
	finished bool
	err      error
}

func newResponseWriter(request *http.Request, cancel context.CancelFunc) *responseWriter {
	return &responseWriter{request: request, cancel: cancel, response: make(chan *http.Response, 1),
		header: http.Header{}, buffer: &bytes.Buffer{}}
}

// Header implements http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter; all but the first final status
// is ignored.
func (w *responseWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.finished {
		w.mu.Unlock()
		return 0, http.ErrHandlerTimeout
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.stream == nil {
		defer w.mu.Unlock()
		n, err := w.buffer.Write(p)
		if w.buffer.Len() > bufferLimit {
			w.startStream()
		}
		return n, err
	}
	stream := w.stream
	w.mu.Unlock()
	return stream.Write(p)
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream == nil && !w.finished {
		w.startStream()
	}
}

// CloseNotify implements http.CloseNotifier, without which k8s.io/apiserver's
// wrappers hide Flush. It is deprecated and nothing there reads it.
func (w *responseWriter) CloseNotify() <-chan bool { return make(chan bool) }

// SetReadDeadline and SetWriteDeadline do nothing: there is no connection, and
// the request's context ends everything.
func (w *responseWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *responseWriter) SetWriteDeadline(time.Time) error { return nil }

// startStream hands the answer over, to be continued. Called with mu held.
func (w *responseWriter) startStream() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	reader, writer := io.Pipe()
	w.stream = writer
	gathered := w.buffer
	w.buffer = nil
	w.send(&body{Reader: io.MultiReader(gathered, reader), pipe: reader, cancel: w.cancel}, -1)
	// A caller that gives up before it reads must not leave Write waiting.
	context.AfterFunc(w.request.Context(), func() { reader.CloseWithError(w.request.Context().Err()) })
}

// finish ends the answer; with an error the reader sees it in place of the
// end.
func (w *responseWriter) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return
	}
	w.finished, w.err = true, err
	w.cancel()
	switch {
	case w.stream != nil:
		w.stream.CloseWithError(err) // nil means io.EOF
	case err != nil:
		w.response <- nil
	default:
		if w.status == 0 {
			w.status = http.StatusOK
		}
		length := w.buffer.Len()
		w.send(&body{Reader: w.buffer, cancel: w.cancel}, int64(length))
	}
}

func (w *responseWriter) send(content io.ReadCloser, length int64) {
	w.response <- &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: w.header.Clone(), Body: content, ContentLength: length, Request: w.request,
	}
}

// abandon discards the answer: the caller no longer waits.
func (w *responseWriter) abandon(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	if w.stream != nil {
		w.stream.CloseWithError(err)
	}
}

func (w *responseWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		return errors.New("the API server gave no answer")
	}
	return w.err
}

// body is the client's side of an answer; closing it ends the request.
type body struct {
	io.Reader
	pipe   *io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.cancel()
	if b.pipe != nil {
		b.pipe.Close()
	}
	return nil
}
