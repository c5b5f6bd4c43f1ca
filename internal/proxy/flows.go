package proxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// flow is an entry of conntrack.
type flow struct {
	connection
	// sent and answered are packets, both 0 where the kernel does not count.
	sent, answered uint64
	// tcp is the state of a TCP connection, 0 of others.
	tcp tcpState
}

// connection is one that a server was reached by: the address that the client
// asked for, and the one that it was led to.
type connection struct {
	protocol              uint8
	client, asked, server netip.AddrPort
}

// tcpState is enum tcp_conntrack of the kernel.
type tcpState uint8

const (
	tcpSynSent  tcpState = 1
	tcpSynRecv  tcpState = 2
	tcpLastAck  tcpState = 6
	tcpTimeWait tcpState = 7
	tcpClose    tcpState = 8
)

// isOpening tells whether a connection is being made.
func (f flow) isOpening() bool { return f.tcp == tcpSynSent || f.tcp == tcpSynRecv }

// isOpen tells whether more may be sent over a connection.
func (f flow) isOpen() bool { return f.tcp != tcpLastAck && f.tcp != tcpTimeWait && f.tcp != tcpClose }

// only says which flows are wanted: those to a server, those of a protocol;
// zero values want all. The kernel leaves the others out (since Linux 5.8),
// which makes a list several times as fast on a machine with many connections.
type only struct {
	server   netip.Addr
	protocol uint8
}

// Attributes of conntrack's messages (linux/netfilter/nfnetlink_conntrack.h).
const (
	ctaTupleOrig, ctaTupleReply       = 1, 2
	ctaTupleIP, ctaTupleProto         = 1, 2
	ctaIPv4Source, ctaIPv4Destination = 1, 2
	ctaProtoNumber                    = 1
	ctaProtoSource, ctaProtoDest      = 2, 3
	ctaProtoInfo, ctaProtoInfoTCP     = 4, 1
	ctaProtoInfoTCPState              = 1
	ctaCountersOrig, ctaCountersReply = 9, 10
	ctaCountersPackets                = 1
	ctaFilter                         = 25
	ctaFilterOrig, ctaFilterReply     = 1, 2
	filterSource, filterProtocol      = 1 << 0, 1 << 3
	// nfgenmsg: family, version, resource.
	nfHeader = 4
	// The message that asks for entries (IPCTNL_MSG_CT_GET).
	messageGet = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
)

// listFlows reads what conntrack has. It changes meanwhile on a busy machine,
// and what was read is dealt with all the same.
func listFlows(want only) ([]flow, error) {
	request, err := want.encode()
	if err != nil {
		return nil, err
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	defer conn.Close()
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: messageGet, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{unix.AF_INET, 0, 0, 0}, request...),
	})
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	var flows []flow
	for _, message := range messages {
		if len(message.Data) < nfHeader {
			continue
		}
		f, err := decodeFlow(message.Data[nfHeader:])
		if err != nil {
			return nil, fmt.Errorf("reading a connection: %w", err)
		}
		if want.matches(f) {
			flows = append(flows, f)
		}
	}
	return flows, nil
}

// matches is for kernels that do not know of the filter.
func (want only) matches(f flow) bool {
	return (!want.server.IsValid() || f.server.Addr() == want.server) && (want.protocol == 0 || f.protocol == want.protocol)
}

func (want only) encode() ([]byte, error) {
	var orig, reply uint32
	request := netlink.NewAttributeEncoder()
	if want.protocol != 0 {
		orig = filterProtocol
		request.Nested(ctaTupleOrig, func(tuple *netlink.AttributeEncoder) error {
			tuple.Nested(ctaTupleProto, func(proto *netlink.AttributeEncoder) error {
				proto.Uint8(ctaProtoNumber, want.protocol)
				return nil
			})
			return nil
		})
	}
	if want.server.IsValid() {
		reply = filterSource
		request.Nested(ctaTupleReply, func(tuple *netlink.AttributeEncoder) error {
			tuple.Nested(ctaTupleIP, func(ip *netlink.AttributeEncoder) error {
				ip.Bytes(ctaIPv4Source, want.server.AsSlice())
				return nil
			})
			return nil
		})
	}
	if orig != 0 || reply != 0 {
		request.Nested(ctaFilter, func(filter *netlink.AttributeEncoder) error {
			filter.Uint32(ctaFilterOrig, orig)
			filter.Uint32(ctaFilterReply, reply)
			return nil
		})
	}
	return request.Encode()
}

func decodeFlow(data []byte) (f flow, err error) {
	attributes, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return flow{}, err
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		switch attributes.Type() {
		case ctaTupleOrig:
			attributes.Nested(func(tuple *netlink.AttributeDecoder) error {
				f.client, f.asked, f.protocol = decodeTuple(tuple)
				return nil
			})
		case ctaTupleReply:
			attributes.Nested(func(tuple *netlink.AttributeDecoder) error {
				f.server, _, _ = decodeTuple(tuple)
				return nil
			})
		case ctaCountersOrig:
			attributes.Nested(func(counters *netlink.AttributeDecoder) error { f.sent = decodePackets(counters); return nil })
		case ctaCountersReply:
			attributes.Nested(func(counters *netlink.AttributeDecoder) error { f.answered = decodePackets(counters); return nil })
		case ctaProtoInfo:
			attributes.Nested(func(info *netlink.AttributeDecoder) error { f.tcp = decodeState(info); return nil })
		}
	}
	return f, attributes.Err()
}

func decodeTuple(tuple *netlink.AttributeDecoder) (source, destination netip.AddrPort, protocol uint8) {
	var from, to netip.Addr
	var fromPort, toPort uint16
	for tuple.Next() {
		switch tuple.Type() {
		case ctaTupleIP:
			tuple.Nested(func(ip *netlink.AttributeDecoder) error {
				for ip.Next() {
					switch ip.Type() {
					case ctaIPv4Source:
						from, _ = netip.AddrFromSlice(ip.Bytes())
					case ctaIPv4Destination:
						to, _ = netip.AddrFromSlice(ip.Bytes())
					}
				}
				return nil
			})
		case ctaTupleProto:
			tuple.Nested(func(proto *netlink.AttributeDecoder) error {
				for proto.Next() {
					switch proto.Type() {
					case ctaProtoNumber:
						protocol = proto.Uint8()
					case ctaProtoSource:
						fromPort = proto.Uint16()
					case ctaProtoDest:
						toPort = proto.Uint16()
					}
				}
				return nil
			})
		}
	}
	return netip.AddrPortFrom(from, fromPort), netip.AddrPortFrom(to, toPort), protocol
}

func decodePackets(counters *netlink.AttributeDecoder) (packets uint64) {
	for counters.Next() {
		if counters.Type() == ctaCountersPackets {
			packets = counters.Uint64()
		}
	}
	return packets
}

func decodeState(info *netlink.AttributeDecoder) (state tcpState) {
	for info.Next() {
		if info.Type() == ctaProtoInfoTCP {
			info.Nested(func(tcp *netlink.AttributeDecoder) error {
				for tcp.Next() {
					if tcp.Type() == ctaProtoInfoTCPState {
						state = tcpState(tcp.Uint8())
					}
				}
				return nil
			})
		}
	}
	return state
}
