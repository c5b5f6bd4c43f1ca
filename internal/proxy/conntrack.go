package proxy

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"

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

// conntrackTries bounds how often conntrack is read that changes meanwhile. It
// always does on a busy machine, and what was read is dealt with all the same.
const conntrackTries = 3

// forgetConnections removes the conntrack entries of such clients, so that the
// next packet of each is sent anew.
func (k *kernel) forgetConnections(log *slog.Logger) {
	if len(k.state.stale) == 0 {
		return
	}
	var err error = netlink.ErrDumpInterrupted
	for try := 0; try < conntrackTries && errors.Is(err, netlink.ErrDumpInterrupted); try++ {
		_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, staleFlows{k.state})
	}
	// An entry that ended by itself meanwhile is as good as removed.
	if err != nil && !errors.Is(err, unix.ENOENT) {
		log.Warn("UDP clients of endpoints that are gone could not be sent elsewhere; they will be when they pause for two minutes", "error", err)
	}
	clear(k.state.stale)
}

// staleFlows matches conntrack entries of stale Frontends.
type staleFlows struct{ *state }

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s staleFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
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
		frontend := routing.Frontend{Addr: addr, Protocol: routing.UDP, Port: flow.Forward.DstPort}
		if _, stale := s.stale[frontend]; !stale {
			continue
		}
		placement, exists := s.placed[frontend]
		if !exists || len(placement.slots) == 0 {
			// Nobody is to be sent anywhere; who never was may stay.
			return server.Addr() != to
		}
		return !slices.Contains(placement.slots, server)
	}
	return false
}
