package proxy

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

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

// countPackets is asked for once, when the proxy starts. Where it is refused,
// every connection counts as idle.
func (p *Proxy) countPackets() {
	if err := os.WriteFile(conntrackCounts, []byte("1"), 0); err != nil {
		p.log.Warn("the kernel does not count packets: connections in use look idle when a Pod stops", "error", err)
	}
}

// conntrackReset is how many seconds conntrack remembers a TCP connection that
// was reset.
const conntrackReset = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close"

// forgetResets is asked for once, when the proxy starts. A client may use the
// port of a connection that its server has reset again at once, for any new
// one; but conntrack would lead that to where the old one went, and a Pod that
// resets connections has ended. So nothing is remembered (the kernel's default
// is 10 s).
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

// connection is one that a Pod was reached by: the address that the client
// asked for, and the one that it was led to.
type connection struct {
	protocol              uint8
	client, asked, server netip.AddrPort
}

// looks keeps the last look at the machine's connections for a moment.
type looks struct {
	mu    sync.Mutex
	taken time.Time
	// open are the open connections by the address that they lead to, each
	// with the packets that it has carried.
	open map[netip.Addr]map[connection]uint64
}

// at returns the open connections to an address, however it was reached.
func (l *looks) at(podIP netip.Addr) (map[connection]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.taken) > drainPoll/2 {
		open, err := openConnections()
		if err != nil {
			return nil, err
		}
		l.open, l.taken = open, time.Now()
	}
	return l.open[podIP], nil
}

func openConnections() (map[netip.Addr]map[connection]uint64, error) {
	flows, err := listFlows()
	if err != nil {
		return nil, err
	}
	open := map[netip.Addr]map[connection]uint64{}
	for _, flow := range flows {
		if !isOpen(flow) {
			continue
		}
		c := connectionOf(flow)
		to := open[c.server.Addr()]
		if to == nil {
			to = map[connection]uint64{}
			open[c.server.Addr()] = to
		}
		to[c] = flow.Forward.Packets + flow.Reverse.Packets
		if isOpening(flow) {
			to[c] = opening
		}
	}
	return open, nil
}

func connectionOf(flow *netlink.ConntrackFlow) connection {
	client, _ := netip.AddrFromSlice(flow.Forward.SrcIP.To4())
	asked, _ := netip.AddrFromSlice(flow.Forward.DstIP.To4())
	server, _ := netip.AddrFromSlice(flow.Reverse.SrcIP.To4())
	return connection{
		protocol: flow.Forward.Protocol,
		client:   netip.AddrPortFrom(client, flow.Forward.SrcPort),
		asked:    netip.AddrPortFrom(asked, flow.Forward.DstPort),
		server:   netip.AddrPortFrom(server, flow.Reverse.SrcPort),
	}
}

// States of TCP in conntrack (enum tcp_conntrack of the kernel).
const (
	tcpSynSent  = 1
	tcpSynRecv  = 2
	tcpLastAck  = 6
	tcpTimeWait = 7
	tcpClose    = 8
)

// isOpening tells whether a connection is being made.
func isOpening(flow *netlink.ConntrackFlow) bool {
	tcp, known := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
	return known && (tcp.State == tcpSynSent || tcp.State == tcpSynRecv)
}

// isOpen tells whether more may be sent over a connection.
func isOpen(flow *netlink.ConntrackFlow) bool {
	tcp, known := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
	if routing.Protocol(flow.Forward.Protocol) != routing.TCP || !known {
		return true
	}
	return tcp.State != tcpLastAck && tcp.State != tcpTimeWait && tcp.State != tcpClose
}
