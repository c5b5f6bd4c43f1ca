package proxy

import (
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// Registers of four bytes, of which the kernel has sixteen. A key or a value
// of several fields is in neighbouring ones.
const reg0 = unix.NFT_REG32_00

// Offsets in the IPv4 header and in that of TCP, UDP and SCTP alike.
const (
	offsetSource      = 12
	offsetDestination = 16
	offsetPort        = 2
)

func exprs(lists ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func one(e expr.Any) []expr.Any { return []expr.Any{e} }

func load(register uint32, offset uint32) []expr.Any {
	return one(&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4})
}

// loadDestination loads address . protocol . port, or 0.0.0.0 for the address.
func loadDestination(register uint32, anyAddr bool) []expr.Any {
	address := load(register, offsetDestination)
	if anyAddr {
		address = one(&expr.Immediate{Register: register, Data: make([]byte, 4)})
	}
	return exprs(address, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register + 1},
		&expr.Payload{DestRegister: register + 2, Base: expr.PayloadBaseTransportHeader, Offset: offsetPort, Len: 2},
	})
}

// lookUp replaces a key in registers by its value, or ends the rule.
func lookUp(set *nftables.Set, key, value uint32) []expr.Any {
	return one(&expr.Lookup{SourceRegister: key, DestRegister: value, IsDestRegSet: true, SetName: set.Name, SetID: set.ID})
}

// contains ends the rule unless the set has the key.
func contains(set *nftables.Set, key uint32) []expr.Any {
	return one(&expr.Lookup{SourceRegister: key, SetName: set.Name, SetID: set.ID})
}

// jumpBy goes where a verdict map says; register 0 is the verdict.
func jumpBy(set *nftables.Set, key uint32) []expr.Any {
	return lookUp(set, key, unix.NFT_REG_VERDICT)
}

// inPrefix goes on if an address of the packet is in the prefix, or is not.
func inPrefix(offset uint32, prefix netip.Prefix, op expr.CmpOp) []expr.Any {
	addr := prefix.Masked().Addr().As4()
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - prefix.Bits()))
	return exprs(load(reg0, offset), []expr.Any{
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg0, Data: addr[:]},
	})
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func from(prefix netip.Prefix) []expr.Any {
	return inPrefix(offsetSource, prefix, expr.CmpOpEq)
}
func notFrom(prefix netip.Prefix) []expr.Any {
	return inPrefix(offsetSource, prefix, expr.CmpOpNeq)
}
func to(prefix netip.Prefix) []expr.Any {
	return inPrefix(offsetDestination, prefix, expr.CmpOpEq)
}
func notTo(prefix netip.Prefix) []expr.Any {
	return inPrefix(offsetDestination, prefix, expr.CmpOpNeq)
}

// toThisMachine goes on if the destination is an address of this machine.
func toThisMachine() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg0, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg0, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// interfaceIs compares the begin of an interface's name, or the whole of it
// when that ends in a zero byte.
func interfaceIs(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: []byte(name)},
	}
}

// conntrackHas goes on if any of the bits is set in a word of conntrack.
func conntrackHas(key expr.CtKey, bits uint32) []expr.Any {
	return conntrackBits(key, bits, expr.CmpOpNeq)
}

// conntrackBits compares some bits of a word of conntrack with none.
func conntrackBits(key expr.CtKey, bits uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg0},
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg0, Data: make([]byte, 4)},
	}
}

// statusDNAT is IPS_DST_NAT of conntrack: somebody has been sent elsewhere.
const statusDNAT = 1 << 5

func isTranslated() []expr.Any { return conntrackHas(expr.CtKeySTATUS, statusDNAT) }

func isNotTranslated() []expr.Any { return conntrackBits(expr.CtKeySTATUS, statusDNAT, expr.CmpOpEq) }

func protocolIs(protocol byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg0},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg0, Data: []byte{protocol}},
	}
}

// roll puts a number below sides into a register.
func roll(register uint32, sides int) []expr.Any {
	if sides == 1 {
		return number(register, 0)
	}
	return one(&expr.Numgen{Register: register, Modulus: uint32(sides), Type: unix.NFT_NG_RANDOM})
}

func number(register uint32, n uint32) []expr.Any {
	return one(&expr.Immediate{Register: register, Data: binaryutil.NativeEndian.PutUint32(n)})
}

// sendTo translates the destination to address . port in registers.
func sendTo(register uint32) []expr.Any {
	return one(&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register, RegProtoMin: register + 1, Specified: true})
}

// sourceIs translates the source to an address.
func sourceIs(addr netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: reg0, Data: addr.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg0, FullyRandom: true},
	}
}

// sourceIsOurs translates the source to this machine's address on the way out.
func sourceIsOurs() []expr.Any { return one(&expr.Masq{FullyRandom: true}) }

// remember notes a key for so long, or keeps it noted for longer.
func remember(set *nftables.Set, key uint32, seconds int32) []expr.Any {
	return one(&expr.Dynset{SrcRegKey: key, SetName: set.Name, SetID: set.ID,
		Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: time.Duration(seconds) * time.Second})
}

// endpointIs puts address . port into registers.
func endpointIs(register uint32, e routing.Endpoint) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: register, Data: e.Addr().AsSlice()},
		&expr.Immediate{Register: register + 1, Data: binaryutil.BigEndian.PutUint16(e.Port())},
	}
}

func goTo(chain string) []expr.Any {
	return one(&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain})
}

// counted shows how often a rule was used to whoever lists it.
func counted() []expr.Any { return one(&expr.Counter{}) }

func verdict(kind expr.VerdictKind) []expr.Any { return one(&expr.Verdict{Kind: kind}) }

func jump(chain *nftables.Chain) []expr.Any {
	return one(&expr.Verdict{Kind: expr.VerdictJump, Chain: chain.Name})
}

func reject(kind uint32, code uint8) []expr.Any { return one(&expr.Reject{Type: kind, Code: code}) }
