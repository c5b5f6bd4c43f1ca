package network

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// forwardingObstacles describes what in other firewall rules drops packets
// between Pods, or between a Pod and the world.
func forwardingObstacles() []string {
	conn, err := nftables.New()
	if err != nil {
		return nil
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil
	}
	var found []string
	for _, chain := range chains {
		if chain.Table.Name == routing.TableName || chain.Type != nftables.ChainTypeFilter || chain.Hooknum == nil || chain.Policy == nil {
			continue
		}
		if *chain.Hooknum == *nftables.ChainHookForward && *chain.Policy == nftables.ChainPolicyDrop && chain.Table.Family != nftables.TableFamilyIPv6 {
			found = append(found, fmt.Sprintf("the firewall chain %s of table %s (%s) drops forwarded packets that no rule of it accepts: Pods may reach neither each other nor the world. Accept packets from and to the Pod range there",
				chain.Name, chain.Table.Name, ownerOfTable(chain)))
		}
	}
	return found
}

// ownerOfTable guesses which program a chain belongs to, for a user to know
// where to look.
func ownerOfTable(chain *nftables.Chain) string {
	switch {
	case chain.Table.Name == "firewalld":
		return "firewalld"
	case chain.Table.Name == "filter" && chain.Name == "FORWARD":
		return "iptables: Docker or ufw sets this policy"
	default:
		return "nftables"
	}
}

// removeTable removes the Service rules.
func removeTable() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.DelTable(&nftables.Table{Name: routing.TableName, Family: nftables.TableFamilyIPv4})
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return explain(fmt.Errorf("removing the Service rules: %w", err))
	}
	return nil
}
