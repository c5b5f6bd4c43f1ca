package network

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// Firewalls is what the other firewalls of this machine, and its settings, do
// to Pods.
type Firewalls struct {
	// Opened says where a rule of ours lets Pods through, Closed what stops
	// them nevertheless and what to do about it. Both are sorted sentences
	// without a full stop, for people.
	Opened, Closed []string
}

// OpenFirewalls lets Pods through where another firewall of this machine would
// drop their packets: by a rule of ours at the place that this firewall keeps
// for rules of others, and by firewalld's zone of those who are trusted. It
// changes nothing where that is so already. See ADR 9.
func OpenFirewalls(config Config) (Firewalls, error) {
	found, err := openTables(config)
	if err != nil {
		return found, err
	}
	openFirewalld(config, &found)
	noteLegacy(config, &found, legacyTables)
	noteForwarding(&found)
	slices.Sort(found.Opened)
	slices.Sort(found.Closed)
	return found, nil
}

// CloseFirewalls removes what OpenFirewalls made, also in an earlier run and
// for other ranges.
func CloseFirewalls(config Config) error {
	return errors.Join(closeTables(), closeFirewalld(config))
}

// Log tells what was found.
func (f Firewalls) Log(log *slog.Logger) {
	for _, text := range f.Opened {
		log.Info(text)
	}
	for _, text := range f.Closed {
		log.Warn(text)
	}
}

// Equal tells whether two looks found the same.
func (f Firewalls) Equal(g Firewalls) bool {
	return slices.Equal(f.Opened, g.Opened) && slices.Equal(f.Closed, g.Closed)
}

// openTables adds the rules that are missing in tables of nftables, those of
// iptables-nft among them. Each gate is a transaction of its own: one that
// cannot be changed leaves the others.
func openTables(config Config) (found Firewalls, err error) {
	conn, err := nftables.New()
	if err != nil {
		return found, explain(fmt.Errorf("talking to nftables: %w", err))
	}
	gates, err := findGates(conn)
	if err != nil {
		return found, err
	}
	for _, g := range gates {
		switch err := g.open(conn, config); {
		case errors.Is(err, unix.ENOENT):
			// It went while we looked, which the kernel reports: there will be
			// another look.
		case err != nil:
			found.Closed = append(found.Closed, fmt.Sprintf("the firewall chain %s of table %s (%s) drops what no rule of it accepts, and refuses a rule for Pods (%v): they may reach neither each other nor the world. Accept packets from and to %s there",
				g.chain.Name, g.chain.Table.Name, g.owner(), err, config.PodCIDR))
		default:
			found.Opened = append(found.Opened, fmt.Sprintf("Pods are let through in the firewall chain %s of table %s (%s)", g.door.Name, g.door.Table.Name, g.owner()))
		}
	}
	found.Opened = slices.Compact(found.Opened)
	return found, nil
}

// open makes the rules of ours in a gate those that are wanted.
func (g gate) open(conn *nftables.Conn, config Config) error {
	rules, err := conn.GetRules(g.door.Table, g.door)
	if err != nil {
		return err
	}
	wanted := g.passes(config)
	changed := false
	for _, rule := range rules {
		if !isPass(rule) {
			continue
		}
		at := slices.IndexFunc(wanted, func(w *nftables.Rule) bool { return bytes.Equal(w.UserData, rule.UserData) })
		if at >= 0 {
			wanted = slices.Delete(wanted, at, at+1)
			continue
		}
		changed = true
		if err := conn.DelRule(rule); err != nil {
			return err
		}
	}
	for _, rule := range slices.Backward(wanted) {
		changed = true
		conn.InsertRule(rule) // before the others, of which one may drop all
	}
	if !changed {
		return nil
	}
	return conn.Flush()
}

// closeTables removes every rule of ours from tables of others.
func closeTables() error {
	conn, err := nftables.New()
	if err != nil {
		return explain(err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return explain(fmt.Errorf("listing firewall chains: %w", err))
	}
	var errs []error
	for _, chain := range chains {
		if !isForeign(chain) {
			continue
		}
		if err := closeChain(conn, chain); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing our rule from the firewall chain %s of table %s: %w", chain.Name, chain.Table.Name, err))
		}
	}
	return errors.Join(errs...)
}

func closeChain(conn *nftables.Conn, chain *nftables.Chain) error {
	rules, err := conn.GetRules(chain.Table, chain)
	if err != nil {
		return err
	}
	found := false
	for _, rule := range rules {
		if !isPass(rule) {
			continue
		}
		found = true
		if err := conn.DelRule(rule); err != nil {
			return err
		}
	}
	if !found {
		return nil
	}
	return conn.Flush()
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
