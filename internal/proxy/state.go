package proxy

import (
	"net/netip"
	"slices"

	"coxswain.dev/cox/internal/routing"
)

// class is what Services with the same chain have in common.
type class struct {
	// anyAddr classes serve Frontends on every address of this machine, whose
	// elements have 0.0.0.0 where the packet has one of those addresses.
	anyAddr         bool
	endpoints       int
	affinitySeconds int32
}

// placement is a rule as the kernel has it.
type placement struct {
	rule routing.Rule
	// slots are the rule's endpoints by their number in the map.
	slots []routing.Endpoint
	class uint32
}

// state is what our last transaction left in the kernel. It is changed while
// the next one is planned; if that fails, both are thrown away and rebuilt.
type state struct {
	isPod     func(netip.Addr) bool
	isService func(netip.Addr) bool

	placed  map[routing.Frontend]placement
	classes map[class]uint32
	// hairpin counts the rules by Pod address: a Pod that reaches itself must
	// not see its own address as the source. outside counts those by endpoint
	// that are no Pod of this machine.
	hairpin map[netip.Addr]int
	outside map[target]int
	offers  map[netip.Addr]offer
	// touched are the addresses whose offer changed in this transaction.
	touched map[netip.Addr]struct{}
	// stale are changed Frontends of UDP, for the next forgetConnections.
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
		classes:   map[class]uint32{},
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
		now.class = s.classOf(*rule, plan)
	}
	s.count(old, -1, plan)
	s.count(now, +1, plan)
	plan.remove(s.elements(frontend, old)...)
	plan.add(s.elements(frontend, now)...)
	s.noteStale(frontend)
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

// classOf finds or makes the class of a rule; 0 is that of rules without
// endpoints, which have no class. Classes are never removed: there are no more
// of them than different numbers of endpoints, and a rebuild starts anew.
func (s *state) classOf(rule routing.Rule, plan *plan) uint32 {
	if len(rule.Endpoints) == 0 {
		return 0
	}
	c := class{anyAddr: rule.Addr == routing.AnyAddr, endpoints: len(rule.Endpoints), affinitySeconds: rule.AffinitySeconds}
	number, known := s.classes[c]
	if !known {
		number = uint32(len(s.classes) + 1)
		s.classes[c] = number
		plan.classes = append(plan.classes, numberedClass{c, number})
	}
	return number
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
