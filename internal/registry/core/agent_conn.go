package core

import (
	"context"
	"io"
	"net"
	"net/http"
)

// toAgent leads connections to an agent in this process. Streams need one that
// can be taken over, as over a network; a pipe holds nothing back, so that no
// byte is lost when either end closes.
func toAgent(agent http.Handler) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			// It returns at once: the connection has a goroutine of its own,
			// which ends with it.
			(&http.Server{Handler: agent}).Serve(&single{conn: theirs})
			return ours, nil
		},
	}
}

// single is a listener that accepts one connection.
type single struct{ conn net.Conn }

func (s *single) Accept() (net.Conn, error) {
	conn := s.conn
	s.conn = nil
	if conn == nil {
		return nil, io.EOF
	}
	return conn, nil
}

func (s *single) Close() error { return nil }

func (s *single) Addr() net.Addr { return &net.UnixAddr{Name: "agent", Net: "pipe"} }
