package policy

import (
	"net/netip"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"
)

// prefixes are blocks at both ends of all addresses, where overflows are.
var prefixes = rapid.Custom(func(t *rapid.T) netip.Prefix {
	last := rapid.ByteRange(0, 255).Draw(t, "last")
	addr := netip.AddrFrom4([4]byte{0, 0, 0, last})
	if rapid.Bool().Draw(t, "at the end") {
		addr = netip.AddrFrom4([4]byte{255, 255, 255, last})
	}
	return netip.PrefixFrom(addr, rapid.SampledFrom([]int{0, 1, 24, 27, 30, 31, 32}).Draw(t, "bits")).Masked()
})

func within(ranges []Range, addr netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return !addr.Less(r.From) && !r.To.Less(addr) })
}

// A block is its addresses without those of its exceptions, and ranges that
// are merged are the same addresses, each once.
func TestRangesAreTheAddressesOfTheirBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ranges []Range
		var blocks []*networkingv1.IPBlock
		for range rapid.IntRange(1, 3).Draw(t, "blocks") {
			block := &networkingv1.IPBlock{CIDR: prefixes.Draw(t, "block").String()}
			for range rapid.IntRange(0, 3).Draw(t, "exceptions") {
				block.Except = append(block.Except, prefixes.Draw(t, "except").String())
			}
			blocks = append(blocks, block)
			ranges = append(ranges, blockOf(&networkingv1.NetworkPolicyPeer{IPBlock: block})...)
		}
		merged := merge(ranges)
		for i := 1; i < len(merged); i++ {
			if next := merged[i-1].To.Next(); !next.IsValid() || !next.Less(merged[i].From) {
				t.Fatalf("%v and %v overlap, or touch", merged[i-1], merged[i])
			}
		}
		for _, first := range []byte{0, 127, 128, 255} {
			for last := range 256 {
				addr := netip.AddrFrom4([4]byte{first, first, first, byte(last)})
				want := slices.ContainsFunc(blocks, func(b *networkingv1.IPBlock) bool {
					return netip.MustParsePrefix(b.CIDR).Contains(addr) &&
						!slices.ContainsFunc(b.Except, func(e string) bool { return netip.MustParsePrefix(e).Contains(addr) })
				})
				if got := within(merged, addr); got != want {
					t.Fatalf("%s is in %v: %t, want %t", addr, merged, got, want)
				}
			}
		}
	})
}
