package proxy

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// dnsPort is where names are asked for, at the gateway address.
const dnsPort = 53

// addNameless sees to it that a Pod which asks for a name while cox restarts is
// not told that nobody listens: most resolvers, glibc's and Go's among them,
// give a name up at once then. So they ask again when their time is over. What
// the kernel says to a datagram names its port; to a SYN it answers with a
// reset of sequence number 0, which no connection has.
func (s *skeleton) addNameless(conn *nftables.Conn, base *nftables.Chain, gateway netip.Addr) {
	unheard := from(netip.PrefixFrom(gateway, gateway.BitLen()))
	s.rule(conn, base, unheard, protocolIs(unix.IPPROTO_ICMP),
		transport(offsetICMPType, icmpUnreachable, icmpPortUnreachable), transport(offsetICMPPort, 0, dnsPort), verdict(expr.VerdictDrop))
	s.rule(conn, base, unheard, protocolIs(unix.IPPROTO_TCP),
		transport(offsetSourcePort, 0, dnsPort), transport(offsetSequence, 0, 0, 0, 0), verdict(expr.VerdictDrop))
}

// Offsets behind the IPv4 header.
const (
	offsetSourcePort = 0
	offsetSequence   = 4
	offsetICMPType   = 0
	// offsetICMPPort is where an ICMP error has the port that was asked: behind
	// its own header and the IPv4 header of the datagram.
	offsetICMPPort = 8 + 20 + offsetPort
)

// icmpUnreachable is the type of RFC 792.
const icmpUnreachable = 3

// transport goes on if there are these bytes behind the IPv4 header.
func transport(offset uint32, bytes ...byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg0, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: uint32(len(bytes))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg0, Data: bytes},
	}
}
