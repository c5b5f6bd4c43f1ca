package proxy

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"coxswain.dev/cox/internal/policy"
	"coxswain.dev/cox/internal/routing"
)

// guards is what NetworkPolicies have come to: what the kernel has, or is to
// have.
type guards struct {
	// active is false without any policy: then nothing is looked up.
	active bool
	// known are the Pods that were decided about. When there are policies, new
	// connections of any other address of the Pod range wait for that: a Pod
	// is never open because it is new.
	known map[netip.Addr]struct{}
	// ingress and egress are the chains of isolated Pods.
	ingress, egress map[netip.Addr]string
	chains          map[string]guardChain
	// peers are the sets that the chains look into, by their names. The name
	// says what is in it.
	peers map[string][]policy.Range
	// fences say whose connections the addresses of load balancers take.
	fences map[routing.Frontend][]netip.Prefix
}

// guardChain lets through what is allowed to or from one Pod.
type guardChain struct {
	egress bool
	allows []policy.Allow
	// text tells it from what was there before.
	text string
}

// guardsOf turns decisions into what the kernel is to have. gateway is this
// machine's own address in the Pod range.
func guardsOf(decided map[netip.Addr]policy.Isolation, gateway netip.Addr) *guards {
	g := &guards{
		active: true, known: map[netip.Addr]struct{}{gateway: {}},
		ingress: map[netip.Addr]string{}, egress: map[netip.Addr]string{},
		chains: map[string]guardChain{}, peers: map[string][]policy.Range{},
	}
	for addr, isolation := range decided {
		g.known[addr] = struct{}{}
		if isolation.IngressIsolated {
			g.ingress[addr] = g.chain("ingress-"+addr.String(), false, isolation.Ingress)
		}
		if isolation.EgressIsolated {
			g.egress[addr] = g.chain("egress-"+addr.String(), true, isolation.Egress)
		}
	}
	return g
}

func (g *guards) chain(name string, egress bool, allows []policy.Allow) string {
	var text strings.Builder
	for _, allow := range allows {
		fmt.Fprintln(&text, allow)
		if !allow.All {
			g.peers[peersName(allow.Peers)] = allow.Peers
		}
	}
	g.chains[name] = guardChain{egress, allows, text.String()}
	return name
}

// peersName is the same for the same ranges, and another for others: the hash
// is one for which nobody can find ranges that get another's name.
func peersName(ranges []policy.Range) string {
	hash := sha256.Sum256([]byte(fmt.Sprint(ranges)))
	return fmt.Sprintf("peers-%x", hash[:8])
}

// guardElements are the elements of the sets that say who is known and whose
// chain is which.
func (g *guards) guardElements() map[element]struct{} {
	all := map[element]struct{}{}
	for addr := range g.known {
		all[element{set: setKnown, key: addressKey(addr)}] = struct{}{}
	}
	for addr, chain := range g.ingress {
		all[element{setIngress, addressKey(addr), chain}] = struct{}{}
	}
	for addr, chain := range g.egress {
		all[element{setEgress, addressKey(addr), chain}] = struct{}{}
	}
	return all
}

func addressKey(addr netip.Addr) string {
	ip := addr.As4()
	return string(ip[:])
}

// difference is what is in one map and not in the other, by its keys, sorted.
func difference[K comparable, V any](in, notIn map[K]V, compare func(a, b K) int) []K {
	var keys []K
	for key := range in {
		if _, both := notIn[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compare)
	return keys
}

// same tells whether nothing has to be changed.
func (g *guards) same(other *guards) bool {
	return sameFences(g.fences, other.fences) && g.active == other.active && maps.Equal(g.known, other.known) && maps.Equal(g.ingress, other.ingress) &&
		maps.Equal(g.egress, other.egress) && maps.EqualFunc(g.chains, other.chains, func(a, b guardChain) bool { return a.text == b.text })
}
