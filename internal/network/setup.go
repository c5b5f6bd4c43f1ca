package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Config says which addresses the network uses and where its files are.
type Config struct {
	// PodCIDR and ServiceCIDR are separate IPv4 prefixes. The first address
	// of PodCIDR is the gateway.
	PodCIDR, ServiceCIDR netip.Prefix
	// ConfDir is where the runtime looks for network configurations.
	ConfDir string
	// StateDir holds the reservations of Pod addresses. They are worth
	// nothing after a reboot, so that a directory of the run dir fits.
	StateDir string
}

// Gateway is the address that Pods send everything to, and on which the API
// and DNS listen for them.
func (c Config) Gateway() netip.Addr { return c.PodCIDR.Masked().Addr().Next() }

// Setup makes the host ready for Pods. It changes nothing that is already so,
// and starts with every check that can fail, so that an error leaves the host
// as it was.
func Setup(config Config) error {
	if err := checkNftables(); err != nil {
		return err
	}
	if err := checkRanges(config); err != nil {
		return err
	}
	if err := setSysctls(); err != nil {
		return err
	}
	device, err := ensureDevice(config.Gateway())
	if err != nil {
		return explain(err)
	}
	if err := ensureRoutes(config, device); err != nil {
		return explain(err)
	}
	if err := os.MkdirAll(config.StateDir, 0o700); err != nil {
		return fmt.Errorf("making the directory for Pod addresses: %w", err)
	}
	if err := writeConf(config); err != nil {
		return err
	}
	return nil
}

// Teardown removes all that Setup, OpenFirewalls, the plugin and the Service
// rules made, and conntrack remembers connections that were reset again. What
// is not there is fine. IP forwarding stays on: others may need it by now.
func Teardown(config Config) error {
	return errors.Join(
		explain(removeLinks()),
		explain(removeRoutes()),
		CloseFirewalls(config),
		removeTable(),
		restoreResets(),
		removeFile(confPath(config)),
		os.RemoveAll(filepath.Join(config.StateDir, "addresses")),
	)
}

// checkNftables finds out whether the kernel has nftables and lets us use it.
func checkNftables() error {
	conn, err := nftables.New()
	if err == nil {
		_, err = conn.ListTables()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return explain(unix.EPERM)
	default:
		return fmt.Errorf("this kernel has no nftables (%w): Services need it. Load the module (modprobe nf_tables), or use a kernel with CONFIG_NF_TABLES", err)
	}
}

// explain says what to do about an error that a user can do something about.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setting up the Pod network: %w: this needs the capability CAP_NET_ADMIN; run as root, and in a container with --cap-add NET_ADMIN", err)
	}
	return err
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
