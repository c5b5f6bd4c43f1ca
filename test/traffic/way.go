package traffic

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// requestLimit bounds a request, so that a lost one counts as failed.
const requestLimit = 5 * time.Second

// Way is one way into a Service, and how it is used.
type Way struct {
	// Name is shown in reports.
	Name string
	// Protocol is what is spoken.
	Protocol Protocol
	// Address is host:port.
	Address string
	// Nameserver, if not empty, is asked for the host before every connection,
	// as clients of headless Services do.
	Nameserver string
	// PerSecond is how many new connections are made, one request on each.
	PerSecond int
	// Clients keep a connection each, and pause between two requests.
	Clients int
	Pause   time.Duration
}

// Protocol is what a way speaks.
type Protocol string

// The protocols. HTTP2 is without TLS, and known of before; TCP and UDP send
// something and want it back.
const (
	HTTP1 Protocol = ""
	HTTP2 Protocol = "HTTP/2"
	TCP   Protocol = "TCP"
	UDP   Protocol = "UDP"
)

// Report is what became of the requests over one way.
type Report struct {
	Name    string
	Answers int
	// Failures counts by kind: refused, reset, closed, timeout, or the error.
	Failures map[string]int
	// Lost are the failed requests.
	Lost []Loss
	// Gap is the longest time without an answer.
	Gap time.Duration
	// P50 and P99 are of the time that answers took.
	P50, P99 time.Duration
}

// Loss is one request that was not answered.
type Loss struct {
	// Began is when it was sent, Took how long it was until it failed, and From
	// who sent it, empty if nobody was reached.
	Began time.Time
	Took  time.Duration
	From  string
	Kind  string
}

// Failed is the number of requests that were not answered.
func (r Report) Failed() (failed int) {
	for _, n := range r.Failures {
		failed += n
	}
	return failed
}

// counter counts for one way.
type counter struct {
	mu    sync.Mutex
	took  []time.Duration
	fails map[string]int
	lost  []Loss
	last  time.Time
	gap   time.Duration
}

// note counts a request that began then.
func (c *counter) note(began time.Time, from string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.fails[kindOf(err)]++
		c.lost = append(c.lost, Loss{began, time.Since(began), from, kindOf(err)})
		return
	}
	now := time.Now()
	c.gap, c.last = max(c.gap, now.Sub(c.last)), now
	c.took = append(c.took, now.Sub(began))
}

func kindOf(err error) string {
	var wait net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		return "timeout"
	default:
		return err.Error()
	}
}
