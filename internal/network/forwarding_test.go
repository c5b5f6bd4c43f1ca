package network_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/network/networktest"
)

const ipForward = "/proc/sys/net/ipv4/ip_forward"

func setting(t testing.TB, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// Loading sysctl.conf turns forwarding off on some machines.
func TestForwardingThatIsTurnedOffIsTurnedOn(t *testing.T) {
	setting(t, ipForward, "1")
	awaitReport(t, keepOpen(t, testConfig(t)))
	setting(t, ipForward, "0")
	deadline := time.Now().Add(10 * time.Second)
	for {
		now, err := os.ReadFile(ipForward)
		if err != nil {
			t.Fatal(err)
		}
		if string(now) == "1\n" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("forwarding is still off after 10 s")
		}
	}
}

// withReadOnlySettings runs f where /proc/sys cannot be written, as in most
// containers.
func withReadOnlySettings(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and what it sees.
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
				return err
			}
			if err := unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-done
}

func TestForwardingThatCannotBeTurnedOnIsExplained(t *testing.T) {
	setting(t, ipForward, "0")
	defer setting(t, ipForward, "1")
	config := testConfig(t)
	const want = "set net.ipv4.ip_forward=1 yourself (in a container: --sysctl net.ipv4.ip_forward=1)"
	err := withReadOnlySettings(func() error { return network.Setup(config) })
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
	err = withReadOnlySettings(func() error {
		found, err := network.OpenFirewalls(config)
		if err == nil && (len(found.Closed) != 1 || !strings.Contains(found.Closed[0], want)) {
			t.Errorf("closed: %q, want %q", found.Closed, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnInterfaceThatDoesNotForwardIsNamed(t *testing.T) {
	n := networktest.Setup(t)
	n.NewNeighbour(t, "neighbour")
	setting(t, "/proc/sys/net/ipv4/conf/uplink/forwarding", "0")
	found, err := network.OpenFirewalls(n.Config)
	if err != nil || len(found.Closed) != 1 || !strings.Contains(found.Closed[0], "sysctl -w net.ipv4.conf.uplink.forwarding=1") {
		t.Errorf("closed: %q (%v), want what to run", found.Closed, err)
	}
}

// The Service rules have conntrack forget connections that were reset; what
// somebody else has set stays.
func TestConntrackRemembersResetsAgainAfterTeardown(t *testing.T) {
	const resets = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close"
	defer setting(t, resets, "10")
	for ours, want := range map[string]string{"0": "10\n", "7": "7\n"} {
		setting(t, resets, ours)
		if err := network.Teardown(testConfig(t)); err != nil {
			t.Fatal(err)
		}
		if now, err := os.ReadFile(resets); err != nil || string(now) != want {
			t.Errorf("%s became %q (%v), want %q", ours, now, err, want)
		}
	}
}
