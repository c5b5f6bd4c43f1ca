package proxy

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"coxswain.dev/cox/internal/routing"
)

// quietTime is how long nothing may have been sent over a connection for it to
// count as idle: a client that keeps it open for later holds nobody up.
const quietTime = 250 * time.Millisecond

// drainPoll is how often connections are looked at meanwhile. The kernel tells
// of their beginning and end, but not of what is sent; a look reads all of the
// machine's connections, so Pods that stop at the same time share it.
const drainPoll = 100 * time.Millisecond

// conntrackCounts makes the kernel count the packets of each connection.
const conntrackCounts = "/proc/sys/net/netfilter/nf_conntrack_acct"

// countPackets is for new connections. Where it is refused, every connection
// counts as idle.
func (p *Proxy) countPackets() {
	if err := os.WriteFile(conntrackCounts, []byte("1"), 0); err != nil {
		p.log.Warn("the kernel does not count packets: connections in use look idle when a Pod stops", "error", err)
	}
}

// conntrackReset is how many seconds conntrack remembers a TCP connection that
// was reset.
const conntrackReset = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close"

// forgetResets: a client may use the port of a connection that its server has
// reset again at once, for any new one; but conntrack would lead that to where
// the old one went, and a Pod that resets connections has ended. So nothing is
// remembered (the kernel's default is 10 s, which package network restores).
func (p *Proxy) forgetResets() {
	if err := os.WriteFile(conntrackReset, []byte("0"), 0); err != nil {
		p.log.Warn("the kernel does not forget connections that were reset: a new one from the same port may be refused after its Pod has ended", "error", err)
	}
}

// Drained returns when every connection to a Pod is closed, or nothing has been
// sent over it for quietTime; UDP clients are led elsewhere. It returns ctx's error if that comes first, and
// at once if no Service led or leads to the Pod, headless ones too: none since
// this proxy runs, and none of the connections there are came through one.
func (p *Proxy) Drained(ctx context.Context, pod routing.Leaving) error {
	podIP := pod.IP
	served := p.offers.hasServed(podIP) || len(pod.Services) > 0
	if err := p.forgetter.left(ctx, podIP); err != nil {
		return err
	}
	p.looks.draining.Add(1)
	defer p.looks.draining.Add(-1)
	before, err := p.looks.at(podIP)
	if err != nil {
		return err
	}
	if !served && !anyTranslated(before) {
		return nil
	}
	quietSince := time.Now()
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	// Also where there is none: whoever asked for a way in before the rules
	// changed may only now be on it, on a machine that is busy enough.
	for time.Since(quietSince) < quietTime {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d connections to %s: %w", len(before), podIP, ctx.Err())
		}
		now, err := p.looks.at(podIP)
		if err != nil {
			return err
		}
		if busy(before, now) {
			quietSince = time.Now()
		}
		before = now
	}
	return nil
}

// busy tells whether something was sent between two looks, or a connection is
// being made.
func busy(before, now map[connection]uint64) bool {
	for c, packets := range now {
		if packets != before[c] || packets == opening {
			return true
		}
	}
	return false
}

// opening stands for the packets of a connection that is being made.
const opening = math.MaxUint64

// anyTranslated tells whether a connection was led to its server by a rule.
func anyTranslated(connections map[connection]uint64) bool {
	for c := range connections {
		if c.asked != c.server {
			return true
		}
	}
	return false
}

// looks are at the connections of Pods that stop.
type looks struct {
	// draining counts the Pods that are looked at.
	draining atomic.Int32
	mu       sync.Mutex
	taken    time.Time
	// open are the open connections of the last look at all, by the address
	// that they lead to, each with the packets that it has carried.
	open map[netip.Addr]map[connection]uint64
}

// fewPods is up to how many Pods are looked at each by itself: the kernel goes
// through all of its connections each time, but tells of the Pod's only. More
// share a look at all.
const fewPods = 4

// at returns the open connections to an address, however it was reached.
func (l *looks) at(podIP netip.Addr) (map[connection]uint64, error) {
	if l.draining.Load() <= fewPods {
		open, err := openConnections(only{server: podIP})
		return open[podIP], err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.taken) > drainPoll/2 {
		open, err := openConnections(only{})
		if err != nil {
			return nil, err
		}
		l.open, l.taken = open, time.Now()
	}
	return l.open[podIP], nil
}

func openConnections(want only) (map[netip.Addr]map[connection]uint64, error) {
	flows, err := listFlows(want)
	if err != nil {
		return nil, err
	}
	open := map[netip.Addr]map[connection]uint64{}
	for _, f := range flows {
		if !f.isOpen() {
			continue
		}
		to := open[f.server.Addr()]
		if to == nil {
			to = map[connection]uint64{}
			open[f.server.Addr()] = to
		}
		to[f.connection] = f.sent + f.answered
		if f.isOpening() {
			to[f.connection] = opening
		}
	}
	return open, nil
}
