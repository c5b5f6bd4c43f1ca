package dns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// restTime is how long an upstream that does not answer is left alone.
	restTime = 5 * time.Second
	// tcpTimeout bounds a question by TCP.
	tcpTimeout = 2 * time.Second
)

var (
	// tries are how long one datagram after the other is given: one may be
	// lost.
	tries = []time.Duration{700 * time.Millisecond, 1300 * time.Millisecond}
	// probeTries are the same for a question that anybody who is alive answers
	// at once.
	probeTries = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond}
)

// upstream is a resolver that questions are passed on to. One that does not
// answer a question may be waiting for somebody itself; so it is asked for
// something easy before it is taken for dead.
type upstream struct {
	address string

	mu sync.Mutex
	// restsUntil is when to see whether it is back; zero while it is alive.
	restsUntil time.Time
	// probe is closed when the probe under way is over; nil if there is none.
	probe chan struct{}
}

// awake are the upstreams worth asking. Those whose rest is over are looked at
// first; that is only waited for if there is nobody else.
func awake(all []*upstream, now time.Time) []*upstream {
	alive, probes := sortOut(all, now)
	if len(alive) > 0 {
		return alive
	}
	for _, probe := range probes {
		<-probe
	}
	alive, _ = sortOut(all, now)
	return alive
}

func sortOut(all []*upstream, now time.Time) (alive []*upstream, probes []<-chan struct{}) {
	for _, u := range all {
		u.mu.Lock()
		until := u.restsUntil
		u.mu.Unlock()
		switch {
		case until.IsZero():
			alive = append(alive, u)
		case !now.Before(until):
			probes = append(probes, u.doubt())
		}
	}
	return alive, probes
}

// doubt finds out, in the background, whether an upstream is alive, and sends
// it to rest if not. The answer is closed when that is known.
func (u *upstream) doubt() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.probe != nil {
		return u.probe
	}
	over := make(chan struct{})
	u.probe = over
	go func() {
		defer close(over)
		alive := u.isAlive()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.probe, u.restsUntil = nil, time.Time{}
		if !alive {
			u.restsUntil = time.Now().Add(restTime)
		}
	}()
	return over
}

// isAlive asks for the root's name servers. Any answer will do.
func (u *upstream) isAlive() bool {
	request := new(dns.Msg)
	request.SetQuestion(".", dns.TypeNS)
	_, err := u.exchange(request, probeTries)
	return err == nil
}

// ask goes on by TCP when an answer was cut short.
func (u *upstream) ask(request *dns.Msg) (*dns.Msg, error) {
	reply, err := u.exchange(request, tries)
	if err == nil && reply.Truncated {
		client := dns.Client{Net: "tcp", Timeout: tcpTimeout}
		if whole, _, err := client.Exchange(request, u.address); err == nil && isReply(request, whole) {
			reply = whole
		}
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", u.address, err)
	}
	return reply, nil
}

// exchange sends a question by UDP, again if nothing comes in time.
func (u *upstream) exchange(request *dns.Msg, tries []time.Duration) (*dns.Msg, error) {
	client := dns.Client{Net: "udp", Timeout: tcpTimeout}
	conn, err := client.Dial(u.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for _, client.Timeout = range tries {
		var reply *dns.Msg
		reply, _, err = client.ExchangeWithConn(request, conn)
		if err == nil && !isReply(request, reply) {
			return nil, errors.New("the answer is to another question")
		}
		if err == nil {
			return reply, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return nil, err
}

// isReply tells whether a reply is to the question of a request. Some
// servers repeat none when they refuse.
func isReply(request, reply *dns.Msg) bool {
	if !reply.Response || len(reply.Question) == 0 {
		return reply.Response && reply.Rcode != dns.RcodeSuccess
	}
	asked, answered := request.Question[0], reply.Question[0]
	return asked.Qtype == answered.Qtype && strings.EqualFold(asked.Name, answered.Name)
}
