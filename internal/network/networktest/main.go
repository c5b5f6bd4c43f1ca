package networktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// insideVariable tells the process started by Main from the one that started
// it.
const insideVariable = "COXSWAIN_TEST_NETWORK_NAMESPACE"

// pluginVariable is where that process finds the built plugin.
const pluginVariable = "COXSWAIN_TEST_CNI_PLUGIN"

// Main runs the tests of a package in a network namespace of their own. Call
// it from TestMain.
func Main(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "networktest:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := runInside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "networktest:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// runInside runs this program again in a new network namespace.
func runInside() (code int, err error) {
	dir, err := os.MkdirTemp("", "networktest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	plugin := filepath.Join(dir, "cox-cni")
	if out, err := exec.Command("go", "build", "-o", plugin, "coxswain.dev/cox/cmd/cox-cni").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the CNI plugin: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1", pluginVariable+"="+plugin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if errors.Is(err, os.ErrPermission) {
		return 0, fmt.Errorf("making a network namespace: %w: these tests need root", err)
	}
	return 0, err
}

// prepare makes the namespace like a machine whose bridges are invisible to
// the firewall, as they are without br_netfilter.
func prepare() error {
	const bridges = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if err := os.WriteFile(bridges, []byte("0"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
