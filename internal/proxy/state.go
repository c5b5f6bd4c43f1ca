package proxy

import (
	"fmt"
	"net/netip"
	"slices"

	"coxswain.dev/cox/internal/routing"
)

// class is what Services with the same chain have in common.
type class struct {
	// anyAddr classes serve Frontends on every address of this machine, whose
	// elements have 0.0.0.0 where the packet has one of those addresses.
	anyAddr   bool
	endpoints int
}

// chain is the name of the chain of a class.
func (c class) chain() string {
	if c.anyAddr {
		return fmt.Sprintf("class-%d-any-address", c.endpoints)
	}
	return fmt.Sprintf("class-%d", c.endpoints)
}

// placement is a rule as the kernel has it.
type placement struct {
	rule routing.Rule
	// slots are the rule's endpoints by their number in the map.
	slots []routing.Endpoint
}

// state is what our last transaction left in the kernel. It is changed while
// the next one is planned; if that fails, both are thrown away and rebuilt.
type state struct {
	isPod     func(netip.Addr) bool
	isService func(netip.Addr) bool

	placed map[routing.Frontend]placement
	// classes are those that have a chain. They are never removed: there are
	// no more than different numbers of endpoints, and a rebuild starts anew.
	classes map[class]struct{}
	// hairpin counts the rules by Pod address: a Pod that reaches itself must
	// not see its own address as the source. outside counts those by endpoint
	// that are no Pod of this machine.
	hairpin map[netip.Addr]int
	outside map[target]int
	offers  map[netip.Addr]offer
	// touched are the addresses whose offer changed in this transaction.
	touched map[netip.Addr]struct{}
	// stale are changed Frontends of UDP, for the next takeStale.
	stale map[routing.Frontend]struct{}
}

// target is an endpoint with its protocol.
type target struct {
	endpoint routing.Endpoint
	protocol routing.Protocol
}

func newState(isPod, isService func(netip.Addr) bool) *state {
	return &state{
		isPod:     isPod,
		isService: isService,
		placed:    map[routing.Frontend]placement{},
		classes:   map[class]struct{}{},
		hairpin:   map[netip.Addr]int{},
		outside:   map[target]int{},
		offers:    map[netip.Addr]offer{},
		touched:   map[netip.Addr]struct{}{},
		stale:     map[routing.Frontend]struct{}{},
	}
}

// offered yields the addresses whose offer has changed since the last call.
func (s *state) offered(yield func(netip.Addr, offer) bool) {
	for addr := range s.touched {
		if !yield(addr, s.offers[addr]) {
			return
		}
	}
	s.touched = map[netip.Addr]struct{}{}
}

// place moves one Frontend to what the rule says, nil for none, and adds what
// that takes to the plan.
func (s *state) place(frontend routing.Frontend, rule *routing.Rule, plan *plan) {
	old, had := s.placed[frontend]
	if rule == nil && !had || rule != nil && had && rule.Equal(old.rule) {
		return
	}
	var now placement
	if rule != nil {
		now = placement{rule: *rule, slots: assignSlots(old.slots, rule.Endpoints)}
		s.needClass(now, plan)
	}
	s.count(old, -1, plan)
	s.count(now, +1, plan)
	plan.remove(s.elements(frontend, old)...)
	plan.add(s.elements(frontend, now)...)
	s.noteStale(frontend)
	plan.stick(frontend, old, now)
	if rule == nil {
		delete(s.placed, frontend)
	} else {
		s.placed[frontend] = now
	}
}

// assignSlots gives each endpoint a number. Those that had one keep it as far
// as the numbers stay without gaps, so that a change touches few elements.
func assignSlots(old, endpoints []routing.Endpoint) []routing.Endpoint {
	slots := make([]routing.Endpoint, len(endpoints))
	var rest []routing.Endpoint
	for _, e := range endpoints {
		if at := slices.Index(old, e); at >= 0 && at < len(slots) {
			slots[at] = e
		} else {
			rest = append(rest, e)
		}
	}
	for i := range slots {
		if !slots[i].IsValid() {
			slots[i], rest = rest[0], rest[1:]
		}
	}
	return slots
}

// class is whose chain a placement with endpoints uses, if it is not sticky.
func (p placement) class() class {
	return class{anyAddr: p.rule.Addr == routing.AnyAddr, endpoints: len(p.slots)}
}

// sticky tells whether a placement sends clients where they were before.
func (p placement) sticky() bool { return p.rule.AffinitySeconds > 0 && len(p.slots) > 0 }

// needClass plans the chain of a placement's class, if it is missing.
func (s *state) needClass(p placement, plan *plan) {
	if len(p.slots) == 0 || p.sticky() {
		return
	}
	if _, has := s.classes[p.class()]; !has {
		s.classes[p.class()] = struct{}{}
		plan.classes = append(plan.classes, p.class())
	}
}

// count keeps the sets that count rules.
func (s *state) count(p placement, by int, plan *plan) {
	for _, e := range p.slots {
		o := s.offers[e.Addr()]
		if p.rule.Terminating {
			o.terminating += by
		} else {
			o.lasting += by
		}
		s.offers[e.Addr()] = o
		if o.lasting+o.terminating == 0 {
			delete(s.offers, e.Addr())
		}
		s.touched[e.Addr()] = struct{}{}

		if s.isPod(e.Addr()) {
			countIn(s.hairpin, e.Addr(), by, plan, hairpinElement(e.Addr()))
		} else {
			t := target{e, p.rule.Protocol}
			countIn(s.outside, t, by, plan, outsideElement(t))
		}
	}
}

// countIn counts a key, whose element is there while it counts at all.
func countIn[K comparable](counts map[K]int, key K, by int, plan *plan, e element) {
	before := counts[key]
	after := before + by
	switch {
	case before == 0 && after > 0:
		plan.add(e)
	case before > 0 && after == 0:
		plan.remove(e)
	}
	if after == 0 {
		delete(counts, key)
	} else {
		counts[key] = after
	}
}
