package core

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

var (
	errRangeFull = errors.New("range is full")
	errIPTaken   = errors.New("provided IP is already allocated")
	errPortTaken = errors.New("provided port is already allocated")
)

// addressPool hands out the addresses of the Service range. Its methods are
// called by one goroutine at a time.
type addressPool struct {
	prefix netip.Prefix
	taken  claims[netip.Addr]
	// next is where the search for a free address goes on, so that a freed
	// one is not given again at once.
	next netip.Addr
}

func newAddressPool(prefix netip.Prefix) *addressPool {
	prefix = prefix.Masked()
	return &addressPool{prefix: prefix, taken: claims[netip.Addr]{}, next: firstDynamic(prefix)}
}

// family is the only IP family that Services have addresses of.
func (p *addressPool) family() corev1.IPFamily {
	if p.prefix.Addr().Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// firstDynamic leaves a band at the beginning of the range for addresses that
// are asked for by number: min(max(16, size/16), 256) addresses (KEP-3070).
func firstDynamic(prefix netip.Prefix) netip.Addr {
	size := 1 << min(prefix.Addr().BitLen()-prefix.Bits(), 16)
	band := min(max(16, size/16), 256)
	if size <= 16 {
		band = 0
	}
	addr := prefix.Addr().Next()
	for range band {
		addr = addr.Next()
	}
	return addr
}

// usable leaves out the first address, which names the range, and IPv4's last,
// which is broadcast.
func (p *addressPool) usable(addr netip.Addr) bool {
	return p.prefix.Contains(addr) && addr != p.prefix.Addr() && (addr.Is6() || p.prefix.Contains(addr.Next()))
}

// request claims one address by number.
func (p *addressPool) request(addr netip.Addr, owner types.UID, now time.Time) error {
	if !p.usable(addr) {
		return fmt.Errorf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", addr, p.prefix)
	}
	if !p.taken.take(addr, owner, now) {
		return errIPTaken
	}
	return nil
}

// any claims a free address: from beyond the band first.
func (p *addressPool) any(owner types.UID, now time.Time) (netip.Addr, error) {
	start := p.next
	for addr := start; ; {
		_, taken := p.taken[addr]
		if !taken && p.usable(addr) {
			p.taken.take(addr, owner, now)
			p.next = p.after(addr)
			return addr, nil
		}
		if addr = p.after(addr); addr == start {
			return netip.Addr{}, errRangeFull
		}
	}
}

// after is the next address of the range; the last is followed by the first.
func (p *addressPool) after(addr netip.Addr) netip.Addr {
	if addr = addr.Next(); p.prefix.Contains(addr) {
		return addr
	}
	return p.prefix.Addr()
}
