package proxy

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/cni"
	"coxswain.dev/cox/internal/routing"
)

// Types of keys and values.
var (
	typeDestination = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	typeSlot        = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeMark)
	typeEndpoint    = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	typePair        = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)
)

// skeleton is everything in our table that does not depend on any Service.
type skeleton struct {
	table    *nftables.Table
	sets     map[setName]*nftables.Set
	services *nftables.Chain
	// guardForward and guardInput are empty without policies; peers are the
	// sets that the chains of isolated Pods look into.
	guardForward, guardInput *nftables.Chain
	peers                    map[string]*nftables.Set
	fences                   *nftables.Chain
}

// newTable is our table.
func newTable() *nftables.Table {
	return &nftables.Table{Name: routing.TableName, Family: nftables.TableFamilyIPv4}
}

// buildSkeleton adds the commands that make the table anew, in the place of
// the one that is there.
func buildSkeleton(conn *nftables.Conn, config Config) (*skeleton, error) {
	table := newTable()
	// Adding first makes deleting succeed whether there was a table or not.
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	s := &skeleton{table: table, sets: map[setName]*nftables.Set{}, peers: map[string]*nftables.Set{}}
	for _, set := range []*nftables.Set{
		// Where the rules for a destination are: the chain of its class.
		{Name: string(setServices), KeyType: typeDestination, IsMap: true, DataType: nftables.TypeVerdict},
		// Destinations with endpoints.
		{Name: string(setServed), KeyType: typeDestination},
		// Where the numbered endpoints of a destination are.
		{Name: string(setEndpoints), KeyType: typeSlot, IsMap: true, DataType: typeEndpoint},
		// Destinations without endpoints that are not in the Service range.
		{Name: string(setRefused), KeyType: typeDestination, IsMap: true, DataType: nftables.TypeVerdict},
		// Source . destination of Pods that reach themselves by a Service.
		{Name: string(setHairpin), KeyType: typePair},
		// Endpoints of Services that are no Pods of this machine.
		{Name: string(setOutside), KeyType: typeDestination},
		// The chains of the numbered endpoints of a destination with affinity.
		{Name: string(setSticky), KeyType: typeSlot, IsMap: true, DataType: nftables.TypeVerdict},
		// Pods that policies were asked about, and the chains of those that
		// are isolated.
		{Name: string(setKnown), KeyType: nftables.TypeIPAddr},
		{Name: string(setIngress), KeyType: nftables.TypeIPAddr, IsMap: true, DataType: nftables.TypeVerdict},
		{Name: string(setEgress), KeyType: nftables.TypeIPAddr, IsMap: true, DataType: nftables.TypeVerdict},
	} {
		set.Table = table
		set.Concatenation = set.KeyType.Bytes > 4
		if err := conn.AddSet(set, nil); err != nil {
			return nil, fmt.Errorf("adding set %s: %w", set.Name, err)
		}
		s.sets[setName(set.Name)] = set
	}
	s.addServices(conn)
	if err := s.addGuards(conn); err != nil {
		return nil, err
	}
	s.addRefusals(conn, config)
	s.addSources(conn, config)
	return s, nil
}

// addServices sends new connections to endpoints: those of Pods and of other
// machines in prerouting, those of this machine in output.
func (s *skeleton) addServices(conn *nftables.Conn) {
	s.services = s.chain(conn, "services", nil)
	s.rule(conn, s.services, loadDestination(reg0, false), jumpBy(s.sets[setServices], reg0))
	s.rule(conn, s.services, toThisMachine(), loadDestination(reg0, true), jumpBy(s.sets[setServices], reg0))

	for _, hook := range []*nftables.ChainHook{nftables.ChainHookPrerouting, nftables.ChainHookOutput} {
		base := s.chain(conn, "nat-"+hookNames[*hook], &nftables.Chain{Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest})
		s.rule(conn, base, jump(s.services))
	}
}

// addRefusals answers for what has no endpoints. TCP clients get a reset: the
// kernel limits how many ICMP messages it sends, and beyond that clients wait.
func (s *skeleton) addRefusals(conn *nftables.Conn, config Config) {
	refuse := s.chain(conn, "refuse", nil)
	s.rule(conn, refuse, protocolIs(unix.IPPROTO_TCP), reject(unix.NFT_REJECT_TCP_RST, 0))
	s.rule(conn, refuse, reject(unix.NFT_REJECT_ICMP_UNREACH, icmpPortUnreachable))

	unserved := s.chain(conn, "unserved", nil)
	refused, served := s.sets[setRefused], s.sets[setServed]
	// A packet that passed while rules changed may have got by without being
	// led to an endpoint. It is lost, and sent again by its client: nobody
	// refuses what has endpoints.
	s.rule(conn, unserved, isNotTranslated(), loadDestination(reg0, false), contains(served, reg0), counted(), verdict(expr.VerdictDrop))
	s.rule(conn, unserved, isNotTranslated(), toThisMachine(), loadDestination(reg0, true), contains(served, reg0), counted(), verdict(expr.VerdictDrop))
	s.rule(conn, unserved, loadDestination(reg0, false), jumpBy(refused, reg0))
	s.rule(conn, unserved, toThisMachine(), loadDestination(reg0, true), jumpBy(refused, reg0))
	// What still has an address of the Service range belongs to no Service.
	s.rule(conn, unserved, to(config.ServiceCIDR), jump(refuse))

	for _, hook := range []*nftables.ChainHook{nftables.ChainHookInput, nftables.ChainHookForward, nftables.ChainHookOutput} {
		base := s.chain(conn, "filter-"+hookNames[*hook], &nftables.Chain{Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter})
		if *hook == *nftables.ChainHookOutput {
			s.addNameless(conn, base, config.Gateway)
		}
		s.rule(conn, base, conntrackHas(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		if *hook == *nftables.ChainHookForward {
			// Conntrack does not translate what it finds invalid. A reply of a
			// Pod would reach the client from an address that it does not know,
			// which then resets the connection.
			s.rule(conn, base, conntrackHas(expr.CtKeySTATE, expr.CtStateBitINVALID), from(config.PodCIDR), verdict(expr.VerdictDrop))
		}
		s.rule(conn, base, jump(unserved))
		switch *hook {
		case *nftables.ChainHookForward:
			s.rule(conn, base, jump(s.guardForward))
		case *nftables.ChainHookInput:
			s.rule(conn, base, jump(s.guardInput))
		}
	}

	// Pods' interfaces route loopback addresses, so that replies to a client
	// on 127.0.0.1 find back. A Pod must not reach this machine's with it.
	guard := s.chain(conn, "guard", &nftables.Chain{Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
	s.rule(conn, guard, interfaceIs(expr.MetaKeyIIFNAME, expr.CmpOpEq, cni.LinkPrefix), to(loopback), verdict(expr.VerdictDrop))
}

// addSources changes who connections come from, where a reply would not find
// back otherwise.
func (s *skeleton) addSources(conn *nftables.Conn, config Config) {
	base := s.chain(conn, "nat-postrouting", &nftables.Chain{Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	// A Pod that reaches itself by a Service.
	s.rule(conn, base, isTranslated(), load(reg0, offsetSource), load(reg0+1, offsetDestination), contains(s.sets[setHairpin], reg0), sourceIs(config.Gateway))
	// A program of this machine that reaches a Pod by 127.0.0.1 and a port.
	s.rule(conn, base, from(loopback), interfaceIs(expr.MetaKeyOIFNAME, expr.CmpOpEq, cni.LinkPrefix), sourceIs(config.Gateway))
	// Another machine that reaches an endpoint elsewhere through this one.
	s.rule(conn, base, isTranslated(), notFrom(config.PodCIDR), interfaceIs(expr.MetaKeyOIFNAME, expr.CmpOpNeq, "lo\x00"),
		loadDestination(reg0, false), contains(s.sets[setOutside], reg0), sourceIsOurs())
	// A Pod that reaches the world.
	s.rule(conn, base, from(config.PodCIDR), notTo(config.PodCIDR), interfaceIs(expr.MetaKeyOIFNAME, expr.CmpOpNeq, "lo\x00"), sourceIsOurs())
}

// addClass adds the chain that chooses an endpoint for Services of a class.
func (s *skeleton) addClass(conn *nftables.Conn, c class) {
	chain, endpoints := s.chain(conn, c.chain(), nil), s.sets[setEndpoints]
	if c.endpoints > 1 {
		s.rule(conn, chain, loadDestination(reg0, c.anyAddr), roll(reg0+3, c.endpoints), lookUp(endpoints, reg0, reg0), sendTo(reg0))
	}
	s.rule(conn, chain, loadDestination(reg0, c.anyAddr), number(reg0+3, 0), lookUp(endpoints, reg0, reg0), sendTo(reg0))
}

func (s *skeleton) chain(conn *nftables.Conn, name string, base *nftables.Chain) *nftables.Chain {
	chain := &nftables.Chain{}
	if base != nil {
		chain = base
	}
	chain.Name, chain.Table = name, s.table
	return conn.AddChain(chain)
}

func (s *skeleton) rule(conn *nftables.Conn, chain *nftables.Chain, parts ...[]expr.Any) {
	conn.AddRule(&nftables.Rule{Table: s.table, Chain: chain, Exprs: exprs(parts...)})
}

// icmpPortUnreachable is the code of RFC 792.
const icmpPortUnreachable = 3

var hookNames = map[nftables.ChainHook]string{
	*nftables.ChainHookPrerouting: "prerouting",
	*nftables.ChainHookInput:      "input",
	*nftables.ChainHookForward:    "forward",
	*nftables.ChainHookOutput:     "output",
}
