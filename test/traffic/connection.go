package traffic

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// connection is one to a server, by any protocol, and without any retries.
type connection interface {
	// ask sends one request and reads its answer, whole.
	ask() error
	// hasEnded tells whether the server has closed an idle connection, as
	// every client looks before it sends.
	hasEnded() bool
	// from is the client's own address.
	from() string
	Close() error
}

// open makes a new one.
func open(way Way) (connection, error) {
	network := "tcp"
	if way.Protocol == UDP {
		network = "udp"
	}
	address, err := way.resolve()
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout(network, address, requestLimit)
	if err != nil {
		return nil, err
	}
	switch way.Protocol {
	case HTTP2:
		return newHTTP2(conn), nil
	case TCP, UDP:
		return &echoConnection{Conn: conn}, nil
	default:
		return &http1Connection{conn, bufio.NewReader(conn)}, nil
	}
}

// A lookup that nobody answers within lookupLimit is repeated after lookupPause:
// while cox starts again names are not answered, and whoever needs one asks
// again.
const (
	lookupLimit = time.Second
	lookupPause = 100 * time.Millisecond
)

// resolve looks the host up, where that is how it is reached, and takes one of
// its addresses.
func (w Way) resolve() (string, error) {
	if w.Nameserver == "" {
		return w.Address, nil
	}
	host, port, err := net.SplitHostPort(w.Address)
	if err != nil {
		return "", err
	}
	resolver := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.Nameserver)
	}}
	for end := time.Now().Add(requestLimit); time.Now().Before(end); time.Sleep(lookupPause) {
		ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
		found, err := resolver.LookupNetIP(ctx, "ip4", host)
		cancel()
		if err == nil {
			return net.JoinHostPort(found[rand.IntN(len(found))].String(), port), nil
		}
		var answer *net.DNSError
		if errors.As(err, &answer) && answer.IsNotFound {
			return "", errNoName
		}
	}
	return "", errNoNameserver
}

// What can be wrong with a name.
var (
	errNoName       = errors.New("there is no such name")
	errNoNameserver = errors.New("nobody answers for names")
)

// http1Connection is one of HTTP/1.1.
type http1Connection struct {
	net.Conn
	answers *bufio.Reader
}

func (c *http1Connection) from() string { return c.LocalAddr().String() }

func (c *http1Connection) ask() error {
	if err := c.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: traffic\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	return check(answer)
}

func check(answer *http.Response) error {
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "Welcome!")) {
		err = fmt.Errorf("answer %s: %q", answer.Status, body)
	}
	return err
}

func (c *http1Connection) hasEnded() bool {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return true
	}
	_, err := c.answers.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// http2Connection is one of HTTP/2. The library that speaks it closes it when
// the server does.
type http2Connection struct {
	net.Conn
	transport *http.Transport
	used      atomic.Bool
}

func newHTTP2(conn net.Conn) *http2Connection {
	c := &http2Connection{Conn: conn}
	c.transport = &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
		if c.used.Swap(true) {
			return nil, net.ErrClosed // a connection is one
		}
		return conn, nil
	}}
	c.transport.Protocols.SetUnencryptedHTTP2(true)
	return c
}

func (c *http2Connection) from() string { return c.LocalAddr().String() }

func (c *http2Connection) Close() error {
	c.transport.CloseIdleConnections()
	return c.Conn.Close()
}

func (c *http2Connection) ask() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestLimit)
	defer cancel()
	// With a body that cannot be read again, nothing is sent twice.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://traffic/", io.NopCloser(strings.NewReader("?")))
	if err != nil {
		return err
	}
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return check(answer)
}

func (c *http2Connection) hasEnded() bool { return false }

// echoConnection wants back what it sends, over TCP or UDP.
type echoConnection struct {
	net.Conn
	sent int
}

func (c *echoConnection) from() string { return c.LocalAddr().String() }

func (c *echoConnection) ask() error {
	if err := c.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return err
	}
	c.sent++
	text := []byte("number " + strconv.Itoa(c.sent))
	if _, err := c.Write(text); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(c, back); err != nil {
		return err
	}
	if !bytes.Equal(back, text) {
		return fmt.Errorf("%q came back for %q", back, text)
	}
	return nil
}

func (c *echoConnection) hasEnded() bool { return false }
