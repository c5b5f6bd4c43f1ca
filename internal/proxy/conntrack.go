package proxy

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
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

// conntrackTries bounds how often conntrack is read that changes meanwhile. It
// always does on a busy machine, and what was read is dealt with all the same.
const conntrackTries = 3

// A client whose entry is removed is sent anew with its next packet; but the
// answer to one that is under way would come from an address that it does not
// know. So entries wait until as many packets came back as were sent, for
// answerLimit at most: some clients want no answers. That is long, as a server
// on a machine with too much to do takes some hundred milliseconds, and half of
// what a Pod waits for the proxy. Each look reads all connections of the
// machine, so they become rarer.
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
	// changed is closed and replaced when there are fewer.
	changed chan struct{}
}

func newForgetter(log *slog.Logger) *forgetter {
	return &forgetter{log: log, wake: make(chan struct{}, 1), stale: map[routing.Frontend][]routing.Endpoint{}, changed: make(chan struct{})}
}

// done tells whether nobody is led astray any more, and else what to wait for
// before asking again.
func (f *forgetter) done() (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.stale) == 0, f.changed
}

// add has the clients of changed Frontends looked at.
func (f *forgetter) add(stale map[routing.Frontend][]routing.Endpoint) {
	if len(stale) == 0 {
		return
	}
	f.mu.Lock()
	maps.Copy(f.stale, stale)
	f.mu.Unlock()
	signal(f.wake)
}

func (f *forgetter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		poll := answerPollFirst
		for end := time.Now().Add(answerLimit); ctx.Err() == nil && f.pass(!time.Now().Before(end)) > 0; {
			pause(ctx, poll)
			poll = min(2*poll, answerPollLast)
		}
	}
}

// pass removes what can be removed now, or all. It returns how many clients
// wait for answers yet; if none does, all Frontends have been dealt with.
func (f *forgetter) pass(all bool) (waiting int) {
	f.mu.Lock()
	flows := &staleFlows{endpoints: maps.Clone(f.stale), all: all}
	f.mu.Unlock()
	var err error = netlink.ErrDumpInterrupted
	for try := 0; try < conntrackTries && errors.Is(err, netlink.ErrDumpInterrupted); try++ {
		flows.waiting = 0
		_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, flows)
	}
	// An entry that ended by itself meanwhile is as good as removed.
	if err != nil && !errors.Is(err, unix.ENOENT) {
		f.log.Warn("UDP clients of endpoints that are gone could not be sent elsewhere; they will be when they pause for two minutes", "error", err)
	}
	if flows.waiting > 0 {
		return flows.waiting
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for frontend, endpoints := range flows.endpoints {
		if slices.Equal(f.stale[frontend], endpoints) {
			delete(f.stale, frontend)
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return len(f.stale)
}

// staleFlows matches conntrack entries of stale Frontends.
type staleFlows struct {
	endpoints map[routing.Frontend][]routing.Endpoint
	// all is set when answers are not waited for any more.
	all     bool
	waiting int
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s *staleFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if !s.isStale(flow) {
		return false
	}
	if !s.all && flow.Reverse.Packets < flow.Forward.Packets {
		s.waiting++
		return false
	}
	return true
}

func (s *staleFlows) isStale(flow *netlink.ConntrackFlow) bool {
	if routing.Protocol(flow.Forward.Protocol) != routing.UDP {
		return false
	}
	to, okTo := netip.AddrFromSlice(flow.Forward.DstIP.To4())
	by, okBy := netip.AddrFromSlice(flow.Reverse.SrcIP.To4())
	if !okTo || !okBy {
		return false
	}
	server := netip.AddrPortFrom(by, flow.Reverse.SrcPort)
	for _, addr := range []netip.Addr{to, routing.AnyAddr} {
		endpoints, stale := s.endpoints[routing.Frontend{Addr: addr, Protocol: routing.UDP, Port: flow.Forward.DstPort}]
		if !stale {
			continue
		}
		if len(endpoints) == 0 {
			// Nobody is to be sent anywhere; who never was may stay.
			return server.Addr() != to
		}
		return !slices.Contains(endpoints, server)
	}
	return false
}
