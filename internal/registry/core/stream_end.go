package core

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
)

// untilEnd serves what goes on for long. It ends when the client goes and when
// the server stops: the handler's context does, and with it a connection that
// the handler has taken over. The library waits for neither: after a hijack
// net/http looks at the client no more.
func untilEnd(stopping <-chan struct{}, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		handler.ServeHTTP(&endingWriter{ResponseWriter: w, ctx: ctx, cancel: cancel}, r.WithContext(ctx))
	})
}

// endingWriter hands out connections that end as untilEnd says.
type endingWriter struct {
	http.ResponseWriter
	ctx    context.Context
	cancel context.CancelFunc
}

// Unwrap leads http.ResponseController to what this does not do itself.
func (w *endingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher.
func (w *endingWriter) Flush() {
	// A writer that cannot flush is buffered by whoever made it.
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker. What the server has read already is read
// again from the connection.
func (w *endingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(w.ctx, func() { conn.Close() })
	client := &clientConn{Conn: conn, in: conn, gone: w.cancel}
	if n := buffers.Reader.Buffered(); n > 0 {
		early, _ := buffers.Peek(n)
		client.in = io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)
	}
	return client, bufio.NewReadWriter(bufio.NewReader(client), bufio.NewWriter(client)), nil
}

// clientConn tells when its client has gone.
type clientConn struct {
	net.Conn
	in   io.Reader
	gone context.CancelFunc
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	// A deadline that has passed is the reader's own.
	if timeout, ok := err.(net.Error); err != nil && !(ok && timeout.Timeout()) {
		c.gone()
	}
	return n, err
}
