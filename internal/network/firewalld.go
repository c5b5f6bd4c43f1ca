package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/nftables"
)

// firewalld accepts everything from sources of this zone, and every connection
// that was sent to a Pod by a Service rule, in all of its versions.
const trustedZone = "trusted"

// firewalldDeadline bounds one question to firewalld, which is slow.
const firewalldDeadline = 10 * time.Second

// sourceFile notes which source we gave to firewalld, which has no room for
// comments: only what we have added is removed again.
func sourceFile(config Config) string { return filepath.Join(config.StateDir, "firewalld-source") }

// openFirewalld makes the Pod range a trusted source for as long as firewalld
// does not load its configuration again.
func openFirewalld(config Config, found *Firewalls) {
	if !runsFirewalld() {
		return
	}
	pods := podRange(config)
	if err := trustSource(config, pods); err != nil {
		found.Closed = append(found.Closed, fmt.Sprintf("firewalld drops forwarded packets, and could not be told to trust Pods (%v): they may reach neither each other nor the world. Run firewall-cmd --zone=%s --add-source=%s, and the same with --permanent",
			err, trustedZone, pods))
		return
	}
	found.Opened = append(found.Opened, fmt.Sprintf("Pods are let through by firewalld: %s is a source of the zone %s", pods, trustedZone))
}

// runsFirewalld tells whether firewalld's rules are in force in this network
// namespace.
func runsFirewalld() bool {
	conn, err := nftables.New()
	if err != nil {
		return false
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false
	}
	for _, table := range tables {
		if table.Name == firewalldTable {
			return true
		}
	}
	return false
}

func trustSource(config Config, pods netip.Prefix) error {
	noted, err := notedSource(config)
	if err != nil {
		return err
	}
	if noted.IsValid() && noted != pods {
		if err := distrustSource(config, noted); err != nil {
			return err
		}
	}
	if isTrusted(pods) {
		return nil // by us, or by the user for good
	}
	if err := os.MkdirAll(config.StateDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(sourceFile(config), []byte(pods.String()), 0o600); err != nil {
		return fmt.Errorf("noting the source: %w", err)
	}
	return firewallCmd("--add-source=" + pods.String())
}

func isTrusted(pods netip.Prefix) bool { return firewallCmd("--query-source="+pods.String()) == nil }

func notedSource(config Config) (netip.Prefix, error) {
	text, err := os.ReadFile(sourceFile(config))
	if errors.Is(err, os.ErrNotExist) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading the source that firewalld was given: %w", err)
	}
	source, err := netip.ParsePrefix(string(text))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading the source that firewalld was given in %s: %w", sourceFile(config), err)
	}
	return source, nil
}

// distrustSource takes a source of ours back.
func distrustSource(config Config, source netip.Prefix) error {
	if runsFirewalld() && isTrusted(source) {
		if err := firewallCmd("--remove-source=" + source.String()); err != nil {
			return err
		}
	}
	return removeFile(sourceFile(config))
}

// closeFirewalld takes back what openFirewalld gave.
func closeFirewalld(config Config) error {
	source, err := notedSource(config)
	if err != nil || !source.IsValid() {
		return err
	}
	if err := distrustSource(config, source); err != nil {
		return fmt.Errorf("firewalld still trusts %s: %w", source, err)
	}
	return nil
}

// firewallCmd asks firewalld about the zone.
func firewallCmd(option string) error {
	ctx, cancel := context.WithTimeout(context.Background(), firewalldDeadline)
	defer cancel()
	out, err := exec.CommandContext(ctx, "firewall-cmd", "--zone="+trustedZone, option).CombinedOutput()
	if err != nil {
		return fmt.Errorf("firewall-cmd %s: %w: %s", option, err, strings.TrimSpace(string(out)))
	}
	return nil
}
