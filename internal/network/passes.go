package network

import (
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// A pass is a rule of ours in a chain of somebody else. It is made of nothing
// that iptables could not show, and its comment tells it from others' and says
// what it is for, so that one for an earlier Pod range is known by it too.

// passComment is how the comments of all passes begin.
const passComment = "coxswain: "

// way is one kind of packets that Pods live by.
type way struct {
	// text is the comment; PODS stands for the Pod range.
	text string
	// from and to are what its addresses are in; nil means anywhere.
	from, to func(Config) netip.Prefix
}

func podRange(c Config) netip.Prefix    { return c.PodCIDR.Masked() }
func gatewayOnly(c Config) netip.Prefix { return netip.PrefixFrom(c.Gateway(), 32) }

// ways are what Pods need at each hook: packets to and from anybody; DNS and
// the API at the gateway, from where this machine also asks their probes; and
// what this machine sends them.
var ways = map[nftables.ChainHook][]way{
	*nftables.ChainHookForward: {{"from Pods PODS", podRange, nil}, {"to Pods PODS", nil, podRange}},
	*nftables.ChainHookInput:   {{"Pods PODS to their gateway", podRange, gatewayOnly}},
	*nftables.ChainHookOutput:  {{"this machine to Pods PODS", nil, podRange}},
}

// passes are the rules that a gate needs.
func (g gate) passes(config Config) []*nftables.Rule {
	var rules []*nftables.Rule
	for _, w := range ways[*g.chain.Hooknum] {
		var exprs []expr.Any
		if g.door.Table.Family == nftables.TableFamilyINet {
			exprs = append(exprs,
				&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{unix.NFPROTO_IPV4}})
		}
		if w.from != nil {
			exprs = append(exprs, addressIn(offsetSource, w.from(config))...)
		}
		if w.to != nil {
			exprs = append(exprs, addressIn(offsetDestination, w.to(config))...)
		}
		exprs = append(exprs, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
		comment := passComment + strings.ReplaceAll(w.text, "PODS", podRange(config).String())
		rules = append(rules, &nftables.Rule{
			Table: g.door.Table, Chain: g.door, Exprs: exprs, UserData: userdata.AppendString(nil, userdata.TypeComment, comment),
		})
	}
	return rules
}

// Offsets in the IPv4 header.
const offsetSource, offsetDestination = 12, 16

// addressIn ends a rule unless an address of the packet is in the prefix.
func addressIn(offset uint32, prefix netip.Prefix) []expr.Any {
	load := &expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
	compare := &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: prefix.Addr().AsSlice()}
	if prefix.IsSingleIP() {
		return []expr.Any{load, compare}
	}
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - prefix.Bits()))
	return []expr.Any{load, &expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4, Mask: mask, Xor: make([]byte, 4)}, compare}
}

// isPass knows our own rules. What others keep beside theirs may be anything.
func isPass(rule *nftables.Rule) bool {
	data := rule.UserData
	const header = 2 // type and length
	if len(data) < header || data[0] != byte(userdata.TypeComment) || len(data) < header+int(data[1]) {
		return false
	}
	return strings.HasPrefix(string(data[header:]), passComment)
}
