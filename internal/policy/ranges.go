package policy

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// Range is all addresses from the first to the last, both included.
type Range struct{ From, To netip.Addr }

func rangeOf(prefix netip.Prefix) Range {
	first := prefix.Masked().Addr()
	last := first.As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	return Range{first, netip.AddrFrom4(last)}
}

// blockOf is the ipBlock of a peer without its exceptions. What is no IPv4
// block is none of ours.
func blockOf(peer *networkingv1.NetworkPolicyPeer) []Range {
	if peer.IPBlock == nil {
		return nil
	}
	prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
	if err != nil || !prefix.Addr().Is4() {
		return nil
	}
	left := []Range{rangeOf(prefix)}
	for _, except := range peer.IPBlock.Except {
		if prefix, err := netip.ParsePrefix(except); err == nil && prefix.Addr().Is4() {
			left = without(left, rangeOf(prefix))
		}
	}
	return left
}

// without takes a range out of others.
func without(ranges []Range, out Range) []Range {
	var left []Range
	for _, r := range ranges {
		if out.To.Less(r.From) || r.To.Less(out.From) {
			left = append(left, r)
			continue
		}
		if r.From.Less(out.From) {
			left = append(left, Range{r.From, out.From.Prev()})
		}
		if out.To.Less(r.To) {
			left = append(left, Range{out.To.Next(), r.To})
		}
	}
	return left
}

// merge makes ranges disjoint, not even adjacent, and sorts them.
func merge(ranges []Range) []Range {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b Range) int { return a.From.Compare(b.From) })
	var merged []Range
	for _, r := range ranges {
		if n := len(merged); n > 0 {
			last := &merged[n-1]
			if next := last.To.Next(); !next.IsValid() || !next.Less(r.From) {
				if last.To.Less(r.To) {
					last.To = r.To
				}
				continue
			}
		}
		merged = append(merged, r)
	}
	return merged
}
