package network

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// gate is a base chain of another firewall that drops what none of its rules
// accepts. That our own table accepts a packet does not help there: every base
// chain must let it through.
type gate struct {
	chain *nftables.Chain
	// door is the chain where a rule of ours belongs: one that the firewall
	// keeps for rules of others and does not flush itself, or chain.
	door *nftables.Chain
}

// doors are the chains that firewalls keep for rules of others.
var doors = map[string]string{
	"DOCKER-USER":      "Docker",
	"ufw-user-forward": "ufw",
	"ufw-user-input":   "ufw",
	"ufw-user-output":  "ufw",
}

// firewalldTable is firewalld's. It removes rules of others whenever it loads
// its own, and lets nobody else write there at all in newer versions.
const firewalldTable = "firewalld"

// owner guesses which program a gate belongs to, for a user to know where to
// look.
func (g gate) owner() string {
	if owner := doors[g.door.Name]; owner != "" {
		return owner
	}
	if g.chain.Table.Name == "filter" && iptablesNames[g.chain.Name] {
		return "iptables"
	}
	return "nftables"
}

// iptablesNames are the base chains that iptables makes.
var iptablesNames = map[string]bool{"INPUT": true, "FORWARD": true, "OUTPUT": true}

// isForeign tells whether a chain belongs to somebody else and sees IPv4.
func isForeign(chain *nftables.Chain) bool {
	family := chain.Table.Family
	return chain.Table.Name != routing.TableName && (family == nftables.TableFamilyIPv4 || family == nftables.TableFamilyINet)
}

// findGates finds the base chains that close the ways of Pods.
func findGates(conn *nftables.Conn) ([]gate, error) {
	chains, err := conn.ListChains()
	if err != nil {
		return nil, explain(fmt.Errorf("listing firewall chains: %w", err))
	}
	var gates []gate
	for _, chain := range chains {
		if !isForeign(chain) || chain.Table.Name == firewalldTable || chain.Type != nftables.ChainTypeFilter || chain.Hooknum == nil {
			continue
		}
		if _, known := ways[*chain.Hooknum]; !known {
			continue
		}
		rules, err := conn.GetRules(chain.Table, chain)
		if errors.Is(err, unix.ENOENT) {
			continue // it is gone
		}
		if err != nil {
			return nil, fmt.Errorf("reading the firewall chain %s of table %s: %w", chain.Name, chain.Table.Name, err)
		}
		if closes(chain, rules) {
			gates = append(gates, gate{chain: chain, door: findDoor(conn, chain, rules)})
		}
	}
	return gates, nil
}

// closes tells whether a base chain drops what it does not accept: by its
// policy, or by a rule for everything.
func closes(chain *nftables.Chain, rules []*nftables.Rule) bool {
	if chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop {
		return true
	}
	for _, rule := range rules {
		if last := forEverything(rule); last != nil && refuses(last) {
			return true
		}
	}
	return false
}

// forEverything is what a rule without conditions does in the end; nil for
// one with conditions.
func forEverything(rule *nftables.Rule) (last expr.Any) {
	for _, e := range rule.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Match: // of iptables
			if e.Name != "comment" {
				return nil
			}
		case *expr.Verdict, *expr.Reject:
			last = e
		case *expr.Target: // of iptables: LOG goes on, REJECT does not
			last = e
		default:
			return nil
		}
	}
	return last
}

func refuses(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Reject:
		return true
	case *expr.Verdict:
		return e.Kind == expr.VerdictDrop
	case *expr.Target:
		return e.Name == "REJECT"
	}
	return false
}

// maxDoorDepth is how many jumps away from its base chain a door is looked
// for: ufw's is two away.
const maxDoorDepth = 3

// findDoor finds the chain that rules of others belong into, among those that
// every packet of the base chain comes to.
func findDoor(conn *nftables.Conn, base *nftables.Chain, rules []*nftables.Rule) *nftables.Chain {
	reached := jumps(base, rules)
	for range maxDoorDepth {
		var next []*nftables.Chain
		for _, chain := range reached {
			if doors[chain.Name] != "" {
				return chain
			}
			if more, err := conn.GetRules(chain.Table, chain); err == nil {
				next = append(next, jumps(chain, more)...)
			}
		}
		reached = next
	}
	return base
}

// jumps are the chains of the same table that every packet is sent to.
func jumps(from *nftables.Chain, rules []*nftables.Rule) []*nftables.Chain {
	var found []*nftables.Chain
	for _, rule := range rules {
		if v, ok := forEverything(rule).(*expr.Verdict); ok && (v.Kind == expr.VerdictJump || v.Kind == expr.VerdictGoto) {
			found = append(found, &nftables.Chain{Name: v.Chain, Table: from.Table})
		}
	}
	return found
}
