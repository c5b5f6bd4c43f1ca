package proxy

import (
	"net/netip"

	"coxswain.dev/cox/internal/routing"
)

// Connections are the open connections that lead to Pods of this machine, and
// those that a rule led elsewhere.
func (p *Proxy) Connections() ([]routing.Connections, error) {
	open, err := openConnections(only{})
	if err != nil {
		return nil, err
	}
	return routing.Count(func(yield func(routing.Protocol, netip.AddrPort) bool) {
		for addr, to := range open {
			for c := range to {
				ours := p.config.PodCIDR.Contains(addr) || c.asked != c.server
				if ours && !yield(routing.Protocol(c.protocol), c.server) {
					return
				}
			}
		}
	}), nil
}
