package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// noteStale remembers a Frontend whose UDP clients may be somewhere that its
// rule no longer says: conntrack goes on sending them there for as long as
// they send, since UDP has no connections that end.
func (s *state) noteStale(frontend routing.Frontend) {
	if frontend.Protocol == routing.UDP {
		s.stale[frontend] = struct{}{}
	}
}

// takeStale is those Frontends with the endpoints that they have now.
func (s *state) takeStale() map[routing.Frontend][]routing.Endpoint {
	taken := map[routing.Frontend][]routing.Endpoint{}
	for frontend := range s.stale {
		taken[frontend] = slices.Clone(s.placed[frontend].slots)
	}
	clear(s.stale)
	return taken
}

// A client whose entry is removed is sent anew with its next packet; but the
// answer to one that is under way would come from an address that it does not
// know. So an entry waits until as many packets came back as were sent, for
// answerLimit at most: some clients want no answers. That is long, as a server
// on a machine with too much to do takes some hundred milliseconds. Each look
// reads all connections of the machine, so they become rarer.
const (
	answerPollFirst = 5 * time.Millisecond
	answerPollLast  = 50 * time.Millisecond
	answerLimit     = time.Second
)

// forgetter removes the conntrack entries of UDP clients that are led to an
// endpoint which their Frontend has no more.
type forgetter struct {
	log  *slog.Logger
	wake chan struct{}
	mu   sync.Mutex
	// stale are the Frontends to look at, with the endpoints that they have.
	stale map[routing.Frontend][]routing.Endpoint
	// added counts what was added to them, and passed is how much of that the
	// last look knew.
	added, passed int
	// waiting are the clients that the last look has left where they are, with
	// the time of the first that did.
	waiting map[connection]time.Time
	// changed is closed and replaced after each look.
	changed chan struct{}
}

func newForgetter(log *slog.Logger) *forgetter {
	return &forgetter{log: log, wake: make(chan struct{}, 1), stale: map[routing.Frontend][]routing.Endpoint{}, changed: make(chan struct{})}
}

// add has the clients of changed Frontends looked at.
func (f *forgetter) add(stale map[routing.Frontend][]routing.Endpoint) {
	if len(stale) == 0 {
		return
	}
	f.mu.Lock()
	maps.Copy(f.stale, stale)
	f.added++
	f.mu.Unlock()
	signal(f.wake)
}

// left returns when no UDP client is led to an address by a rule that is no
// more, or with ctx's error if that comes first.
func (f *forgetter) left(ctx context.Context, addr netip.Addr) error {
	f.mu.Lock()
	now := f.added
	f.mu.Unlock()
	for {
		f.mu.Lock()
		done, changed := f.passed >= now && !f.holds(addr), f.changed
		f.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until UDP clients of %s are led elsewhere: %w", addr, ctx.Err())
		}
	}
}

// holds tells whether clients wait for an answer from an address. The caller
// holds the lock.
func (f *forgetter) holds(addr netip.Addr) bool {
	for c := range f.waiting {
		if c.server.Addr() == addr {
			return true
		}
	}
	return false
}

func (f *forgetter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		for poll := answerPollFirst; ctx.Err() == nil && !f.pass(); poll = min(2*poll, answerPollLast) {
			pause(ctx, poll)
		}
	}
}

// pass removes what can be removed now. It tells whether all Frontends have
// been dealt with.
func (f *forgetter) pass() (done bool) {
	f.mu.Lock()
	known := f.added
	flows := &staleFlows{endpoints: maps.Clone(f.stale), before: f.waiting, waiting: map[connection]time.Time{}, now: time.Now()}
	f.mu.Unlock()
	if err := flows.forget(); err != nil {
		f.log.Warn("UDP clients of endpoints that are gone could not be sent elsewhere; they will be when they pause for two minutes", "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passed, f.waiting = known, flows.waiting
	close(f.changed)
	f.changed = make(chan struct{})
	if len(flows.waiting) > 0 {
		return false
	}
	for frontend, endpoints := range flows.endpoints {
		if slices.Equal(f.stale[frontend], endpoints) {
			delete(f.stale, frontend)
		}
	}
	return len(f.stale) == 0
}

// staleFlows are conntrack entries of stale Frontends.
type staleFlows struct {
	endpoints map[routing.Frontend][]routing.Endpoint
	// before and waiting are the clients that wait for an answer, since when.
	before, waiting map[connection]time.Time
	now             time.Time
}

// forget removes the entries of clients that do not wait for an answer.
func (s *staleFlows) forget() error {
	flows, err := listFlows(only{protocol: byte(routing.UDP)})
	if err != nil {
		return err
	}
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, f := range flows {
		if !s.isStale(f) {
			continue
		}
		if err := s.forgetOne(conn, f.connection); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// forgetOne looks at an entry once more before it is removed: the list may be
// older than what its client has sent meanwhile.
func (s *staleFlows) forgetOne(conn *conntrack.Conn, c connection) error {
	entry := conntrack.NewFlow(c.protocol, 0, c.client.Addr(), c.asked.Addr(), c.client.Port(), c.asked.Port(), 0, 0)
	now, err := conn.Get(entry)
	if err != nil {
		return err
	}
	if now.TupleReply.IP.SourceAddress != c.server.Addr() {
		return nil // another one, of the same client
	}
	if now.CountersReply.Packets < now.CountersOrig.Packets {
		since, waits := s.before[c]
		if !waits {
			since = s.now
		}
		if s.now.Sub(since) < answerLimit {
			s.waiting[c] = since
			return nil
		}
	}
	return conn.Delete(entry)
}

func (s *staleFlows) isStale(f flow) bool {
	for _, addr := range []netip.Addr{f.asked.Addr(), routing.AnyAddr} {
		endpoints, stale := s.endpoints[routing.Frontend{Addr: addr, Protocol: routing.UDP, Port: f.asked.Port()}]
		if !stale {
			continue
		}
		if len(endpoints) == 0 {
			// Nobody is to be sent anywhere; who never was may stay.
			return f.server.Addr() != f.asked.Addr()
		}
		return !slices.Contains(endpoints, f.server)
	}
	return false
}
