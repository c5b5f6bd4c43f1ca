package controllers

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddressPool are the addresses that LoadBalancer Services get, each its own.
// An empty one gives all of them the machine's own addresses.
type AddressPool []AddressRange

// AddressRange is from First to Last, both included.
type AddressRange struct{ First, Last netip.Addr }

// poolLimit bounds a pool: it is gone through for each Service.
const poolLimit = 1 << 16

// ParseAddressPool reads prefixes, ranges and single IPv4 addresses, parted by
// commas: "192.0.2.16/28,192.0.2.40-192.0.2.50". Empty text is an empty pool.
func ParseAddressPool(text string) (AddressPool, error) {
	var pool AddressPool
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	size := uint64(0)
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRange(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		pool = append(pool, r)
		size += r.size()
	}
	if size > poolLimit {
		return nil, fmt.Errorf("%s are %d addresses, more than %d", text, size, poolLimit)
	}
	slices.SortFunc(pool, func(a, b AddressRange) int { return a.First.Compare(b.First) })
	return pool, nil
}

func parseRange(text string) (AddressRange, error) {
	wrong := fmt.Errorf("%q is no IPv4 address, prefix or range (for example 192.0.2.16/28 or 192.0.2.40-192.0.2.50)", text)
	var r AddressRange
	var err error
	if first, last, isRange := strings.Cut(text, "-"); isRange {
		if r.First, err = netip.ParseAddr(strings.TrimSpace(first)); err != nil {
			return r, wrong
		}
		if r.Last, err = netip.ParseAddr(strings.TrimSpace(last)); err != nil {
			return r, wrong
		}
	} else if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr().Is4() {
		r = AddressRange{prefix.Masked().Addr(), lastOf(prefix)}
	} else if r.First, err = netip.ParseAddr(text); err != nil {
		return r, wrong
	} else {
		r.Last = r.First
	}
	switch {
	case !r.First.Is4() || !r.Last.Is4():
		return r, wrong
	case r.Last.Less(r.First):
		return r, fmt.Errorf("the range %s ends before it begins", text)
	case !r.First.IsGlobalUnicast() || !r.Last.IsGlobalUnicast():
		return r, fmt.Errorf("%s is not for addresses of machines", text)
	}
	return r, nil
}

// lastOf is the last address of an IPv4 prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	ip := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		ip[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(ip)
}

func (r AddressRange) size() uint64 {
	first, last := r.First.As4(), r.Last.As4()
	return uint64(binary.BigEndian.Uint32(last[:])-binary.BigEndian.Uint32(first[:])) + 1
}

func (r AddressRange) contains(addr netip.Addr) bool {
	return addr.Is4() && !addr.Less(r.First) && !r.Last.Less(addr)
}

func (r AddressRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

func (p AddressPool) String() string {
	var texts []string
	for _, r := range p {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, ",")
}

// Contains tells whether an address is one of the pool.
func (p AddressPool) Contains(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(r AddressRange) bool { return r.contains(addr) })
}

// Overlaps tells whether an address of the pool is in a prefix.
func (p AddressPool) Overlaps(prefix netip.Prefix) bool {
	return slices.ContainsFunc(p, func(r AddressRange) bool {
		return r.contains(prefix.Masked().Addr()) || prefix.Contains(r.First)
	})
}

// free is the first address of the pool that nobody has.
func (p AddressPool) free(taken map[netip.Addr]bool) (netip.Addr, bool) {
	for _, r := range p {
		for addr := r.First; r.contains(addr); addr = addr.Next() {
			if !taken[addr] {
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}
