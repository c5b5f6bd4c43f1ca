package routing

import (
	"cmp"
	"net/netip"
	"slices"
)

// NodeTraffic is what a node's agent tells of its Pods' connections, at
// ConnectionsPath below nodes/<name>/proxy.
type NodeTraffic struct {
	// Open are the connections that may still carry something, by where they
	// lead. Who is not in it has none.
	Open []Connections `json:"open"`
	// Stopping are the Pods (namespace/name) that have been told to stop, and
	// not only taken out of Services.
	Stopping []string `json:"stopping"`
}

// ConnectionsPath is where agents serve NodeTraffic.
const ConnectionsPath = "/connections"

// Connections counts those that lead to one Endpoint, whatever address their
// clients asked for.
type Connections struct {
	Endpoint Endpoint `json:"endpoint"`
	Protocol string   `json:"protocol"`
	Count    int      `json:"count"`
}

// Count gathers connections, each given by where it leads, and sorts them.
func Count(each func(yield func(Protocol, netip.AddrPort) bool)) []Connections {
	counts := map[Connections]int{}
	for protocol, to := range each {
		counts[Connections{Endpoint: to, Protocol: protocol.String()}]++
	}
	var all []Connections
	for to, count := range counts {
		to.Count = count
		all = append(all, to)
	}
	slices.SortFunc(all, func(a, b Connections) int {
		return cmp.Or(a.Endpoint.Compare(b.Endpoint), cmp.Compare(a.Protocol, b.Protocol))
	})
	return all
}
