package proxy

import (
	"cmp"
	"math"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/policy"
	"coxswain.dev/cox/internal/routing"
)

// addGuards adds the chains by which new connections are judged: what a Pod
// sends to others and to this machine, and what others send to it. What this
// machine sends to its Pods is not asked about. They are empty while there is
// no policy.
func (s *skeleton) addGuards(conn *nftables.Conn) error {
	s.guardForward, s.guardInput = s.chain(conn, "policies-forward", nil), s.chain(conn, "policies-input", nil)
	return s.addFences(conn)
}

// guard adds the commands that lead from one state of the guards to another.
func (s *skeleton) guard(conn *nftables.Conn, config Config, before, now *guards) error {
	if before.same(now) {
		return nil
	}
	if err := s.fence(conn, before.fences, now.fences); err != nil {
		return err
	}
	for _, name := range difference(now.peers, before.peers, strings.Compare) {
		if err := s.addPeers(conn, name, now.peers[name]); err != nil {
			return err
		}
	}
	for _, name := range difference(now.chains, before.chains, strings.Compare) {
		s.chain(conn, name, nil)
	}
	for name, chain := range now.chains {
		if was, had := before.chains[name]; !had || was.text != chain.text {
			s.fillGuard(conn, name, chain)
		}
	}
	had, has := before.guardElements(), now.guardElements()
	byKey := func(a, b element) int {
		return cmp.Or(cmp.Compare(a.set, b.set), cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
	}
	if err := s.inSets(difference(had, has, byKey), conn.SetDeleteElements); err != nil {
		return err
	}
	if err := s.inSets(difference(has, had, byKey), conn.SetAddElements); err != nil {
		return err
	}
	for _, name := range difference(before.chains, now.chains, strings.Compare) {
		chain := &nftables.Chain{Table: s.table, Name: name}
		conn.FlushChain(chain)
		conn.DelChain(chain)
	}
	for _, name := range difference(before.peers, now.peers, strings.Compare) {
		conn.DelSet(s.peers[name])
		delete(s.peers, name)
	}
	if before.active != now.active {
		s.switchGuards(conn, config, now.active)
	}
	return nil
}

// switchGuards has connections judged, or not any more.
func (s *skeleton) switchGuards(conn *nftables.Conn, config Config, active bool) {
	conn.FlushChain(s.guardForward)
	conn.FlushChain(s.guardInput)
	if !active {
		return
	}
	known := s.sets[setKnown]
	for _, chain := range []*nftables.Chain{s.guardForward, s.guardInput} {
		s.rule(conn, chain, from(config.PodCIDR), load(reg0, offsetSource), lacks(known, reg0), verdict(expr.VerdictDrop))
		s.rule(conn, chain, load(reg0, offsetSource), jumpBy(s.sets[setEgress], reg0))
	}
	s.rule(conn, s.guardForward, to(config.PodCIDR), load(reg0, offsetDestination), lacks(known, reg0), verdict(expr.VerdictDrop))
	s.rule(conn, s.guardForward, load(reg0, offsetDestination), jumpBy(s.sets[setIngress], reg0))
}

// inSets sends elements of several sets, which are sorted by set.
func (s *skeleton) inSets(elements []element, send func(*nftables.Set, []nftables.SetElement) error) error {
	for len(elements) > 0 {
		n := 1
		for n < len(elements) && elements[n].set == elements[0].set {
			n++
		}
		if err := inChunks(s.sets[elements[0].set], elements[:n], send); err != nil {
			return err
		}
		elements = elements[n:]
	}
	return nil
}

// addPeers makes the set of the addresses that a rule allows.
func (s *skeleton) addPeers(conn *nftables.Conn, name string, ranges []policy.Range) error {
	set := &nftables.Set{Table: s.table, Name: name, KeyType: nftables.TypeIPAddr, Interval: true}
	if err := conn.AddSet(set, nil); err != nil {
		return err
	}
	s.peers[name] = set
	var elements []nftables.SetElement
	for _, r := range ranges {
		elements = append(elements, nftables.SetElement{Key: r.From.AsSlice()})
		if end := r.To.Next(); end.IsValid() {
			elements = append(elements, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	for len(elements) > 0 {
		n := min(len(elements), elementsPerMessage)
		if err := conn.SetAddElements(set, elements[:n]); err != nil {
			return err
		}
		elements = elements[n:]
	}
	return nil
}

// fillGuard makes the rules of one Pod's chain: it is left by what is allowed,
// and refuses the rest at once.
func (s *skeleton) fillGuard(conn *nftables.Conn, name string, guard guardChain) {
	chain := &nftables.Chain{Table: s.table, Name: name}
	conn.FlushChain(chain)
	peer := uint32(offsetSource)
	if guard.egress {
		peer = offsetDestination
	}
	for _, allow := range guard.allows {
		var who []expr.Any
		if !allow.All {
			who = exprs(load(reg0, peer), contains(s.peers[peersName(allow.Peers)], reg0))
		}
		if len(allow.Ports) == 0 {
			s.rule(conn, chain, who, verdict(expr.VerdictReturn))
		}
		for _, port := range allow.Ports {
			s.rule(conn, chain, toPort(port), who, verdict(expr.VerdictReturn))
		}
	}
	s.rule(conn, chain, goTo("refuse"))
}

// toPort goes on if the packet is for the protocol and one of the ports.
func toPort(port policy.Port) []expr.Any {
	protocol := protocolIs(protocolNumber(port.Protocol))
	if port.First == 0 && port.Last == math.MaxUint16 {
		return protocol
	}
	return exprs(protocol, []expr.Any{
		&expr.Payload{DestRegister: reg0, Base: expr.PayloadBaseTransportHeader, Offset: offsetPort, Len: 2},
		&expr.Range{Op: expr.CmpOpEq, Register: reg0, FromData: binaryutil.BigEndian.PutUint16(port.First), ToData: binaryutil.BigEndian.PutUint16(port.Last)},
	})
}

func protocolNumber(protocol corev1.Protocol) byte {
	switch protocol {
	case corev1.ProtocolUDP:
		return byte(routing.UDP)
	case corev1.ProtocolSCTP:
		return byte(routing.SCTP)
	default:
		return byte(routing.TCP)
	}
}

// lacks ends the rule if the set has the key.
func lacks(set *nftables.Set, key uint32) []expr.Any {
	return one(&expr.Lookup{SourceRegister: key, SetName: set.Name, SetID: set.ID, Invert: true})
}
