package proxy

import (
	"fmt"
	"slices"

	"github.com/google/nftables"

	"coxswain.dev/cox/internal/routing"
)

// A Frontend with affinity has chains of its own: one that asks for each
// endpoint whether the client was there lately, and one for each endpoint that
// notes the client and sends it there. So the clients of an endpoint are
// forgotten with it. Affinity is rare, and endpoints of one Service are few.

// clientsOfEndpoint bounds how many clients can be remembered. Beyond it, new
// ones are balanced as if there were no affinity.
const clientsOfEndpoint = 1 << 16

func stickyChain(f routing.Frontend) string {
	return fmt.Sprintf("sticky-%s-%s-%d", f.Addr, f.Protocol, f.Port)
}

// endpointChain is also the name of the set of the endpoint's clients.
func endpointChain(f routing.Frontend, e routing.Endpoint) string {
	return fmt.Sprintf("%s-to-%s-%d", stickyChain(f), e.Addr(), e.Port())
}

// addSticky adds what a Frontend needs before elements can lead there.
func (s *skeleton) addSticky(conn *nftables.Conn, frontend routing.Frontend, r restick) error {
	if !r.after.sticky() {
		return nil
	}
	sets := make([]*nftables.Set, len(r.after.slots))
	for i, endpoint := range r.after.slots {
		sets[i] = s.clients(frontend, endpoint)
		had := r.before.sticky() && slices.Contains(r.before.slots, endpoint)
		if !had {
			if err := conn.AddSet(sets[i], nil); err != nil {
				return err
			}
		}
		if !had || r.before.rule.AffinitySeconds != r.after.rule.AffinitySeconds {
			chain := s.chain(conn, endpointChain(frontend, endpoint), nil)
			conn.FlushChain(chain)
			// Two rules, as the first ends when there is no room.
			s.rule(conn, chain, load(reg0, offsetSource), remember(sets[i], reg0, r.after.rule.AffinitySeconds))
			s.rule(conn, chain, endpointIs(reg0, endpoint), sendTo(reg0))
		}
	}
	chain := s.chain(conn, stickyChain(frontend), nil)
	conn.FlushChain(chain)
	for i, endpoint := range r.after.slots {
		s.rule(conn, chain, load(reg0, offsetSource), contains(sets[i], reg0), goTo(endpointChain(frontend, endpoint)))
	}
	anyAddr := frontend.Addr == routing.AnyAddr
	s.rule(conn, chain, loadDestination(reg0, anyAddr), roll(reg0+3, len(r.after.slots)), jumpBy(s.sets[setSticky], reg0))
	s.rule(conn, chain, loadDestination(reg0, anyAddr), number(reg0+3, 0), jumpBy(s.sets[setSticky], reg0))
	return nil
}

// removeSticky removes what a Frontend no longer needs, once no element leads
// there.
func (s *skeleton) removeSticky(conn *nftables.Conn, frontend routing.Frontend, r restick) {
	if !r.before.sticky() {
		return
	}
	if !r.after.sticky() {
		conn.DelChain(&nftables.Chain{Name: stickyChain(frontend), Table: s.table})
	}
	for _, endpoint := range r.before.slots {
		if r.after.sticky() && slices.Contains(r.after.slots, endpoint) {
			continue
		}
		conn.DelChain(&nftables.Chain{Name: endpointChain(frontend, endpoint), Table: s.table})
		conn.DelSet(s.clients(frontend, endpoint))
	}
}

// clients is the set of an endpoint's clients.
func (s *skeleton) clients(frontend routing.Frontend, endpoint routing.Endpoint) *nftables.Set {
	return &nftables.Set{
		Table: s.table, Name: endpointChain(frontend, endpoint), KeyType: nftables.TypeIPAddr,
		Dynamic: true, HasTimeout: true, Size: clientsOfEndpoint,
	}
}
