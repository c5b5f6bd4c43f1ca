package routing

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Protocol is an IP protocol number.
type Protocol uint8

// The protocols that Services know.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// protocolOf translates the API's word. The zero Protocol is none that we
// know.
func protocolOf(p corev1.Protocol) Protocol {
	switch p {
	case corev1.ProtocolTCP, "":
		return TCP
	case corev1.ProtocolUDP:
		return UDP
	case corev1.ProtocolSCTP:
		return SCTP
	}
	return 0
}

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}

// Frontend is what clients connect to.
type Frontend struct {
	// Addr 0.0.0.0 stands for every address of this machine.
	Addr     netip.Addr
	Protocol Protocol
	Port     uint16
}

// AnyAddr is the Addr of Frontends on every address of this machine.
var AnyAddr = netip.IPv4Unspecified()

func (f Frontend) String() string {
	return fmt.Sprintf("%s %s", netip.AddrPortFrom(f.Addr, f.Port), f.Protocol)
}

func (f Frontend) compare(g Frontend) int {
	return cmp.Or(f.Addr.Compare(g.Addr), cmp.Compare(f.Protocol, g.Protocol), cmp.Compare(f.Port, g.Port))
}

// Endpoint is where a connection ends.
type Endpoint = netip.AddrPort

// Rule says where connections to one Frontend go.
type Rule struct {
	Frontend
	// Endpoints are sorted and distinct; each gets the same share of new
	// connections. Without any, Without says what happens.
	Endpoints []Endpoint
	// Terminating says that the Endpoints are all on their way out, and serve
	// because there is no other.
	Terminating bool
	// AffinitySeconds is how long a client stays with its endpoint after its
	// last connection; 0 chooses anew for each connection.
	AffinitySeconds int32
	// Without says what becomes of a connection that no Endpoint can take.
	Without Without
}

// Without is what happens without endpoints.
type Without uint8

const (
	// Refuse answers at once that nobody listens.
	Refuse Without = iota
	// Drop leaves the client without an answer.
	Drop
)

func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s ->", r.Frontend)
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, " %s", e)
	}
	switch {
	case len(r.Endpoints) == 0 && r.Without == Drop:
		b.WriteString(" drop")
	case len(r.Endpoints) == 0:
		b.WriteString(" refuse")
	}
	if r.Terminating {
		b.WriteString(" (terminating)")
	}
	if r.AffinitySeconds > 0 {
		fmt.Fprintf(&b, " (same client for %ds)", r.AffinitySeconds)
	}
	return b.String()
}

// Equal tells whether two rules do the same.
func (r Rule) Equal(s Rule) bool {
	return r.Frontend == s.Frontend && slices.Equal(r.Endpoints, s.Endpoints) &&
		r.Terminating == s.Terminating && r.AffinitySeconds == s.AffinitySeconds && r.Without == s.Without
}

// Rules is what one owner wants, sorted by Frontend.
type Rules []Rule

// String is stable text, one line a rule.
func (rs Rules) String() string {
	var b strings.Builder
	for _, r := range rs {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// sorted orders rules by Frontend and keeps the first of equal ones.
func sorted(rules Rules) Rules {
	slices.SortStableFunc(rules, func(a, b Rule) int { return a.Frontend.compare(b.Frontend) })
	return slices.CompactFunc(rules, func(a, b Rule) bool { return a.Frontend == b.Frontend })
}
