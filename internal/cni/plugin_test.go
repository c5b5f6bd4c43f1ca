package cni_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"coxswain.dev/cox/internal/cni"
	"coxswain.dev/cox/internal/network/networktest"
)

// addresses are the reservations in force.
func addresses(t *testing.T, n *networktest.Network) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(n.StateDir, "addresses"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if entry.Type()&os.ModeSymlink != 0 {
			found = append(found, entry.Name())
		}
	}
	return found
}

// links are the host's ends in existence.
func links(t *testing.T) []string {
	t.Helper()
	all, err := cni.Dump(netlink.LinkList)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range all {
		if strings.HasPrefix(link.Attrs().Name, cni.LinkPrefix) {
			found = append(found, link.Attrs().Name)
		}
	}
	return found
}

func expectNothingLeft(t *testing.T, n *networktest.Network) {
	t.Helper()
	if left := addresses(t, n); len(left) > 0 {
		t.Errorf("addresses %v are still reserved", left)
	}
	if left := links(t); len(left) > 0 {
		t.Errorf("links %v still exist", left)
	}
}

func TestPodsReachEachOther(t *testing.T) {
	n := networktest.Setup(t)
	a, b := n.NewPod(t, "a"), n.NewPod(t, "b")
	b.ServeNames(t, 8080)
	conn, err := a.Dial("tcp", netip.AddrPortFrom(b.Addr, 8080).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 100)
	length, err := conn.Read(answer)
	if want := "b " + conn.LocalAddr().String(); err != nil || string(answer[:length]) != want {
		t.Errorf("answer %q (%v), want %q", answer[:length], err, want)
	}
	if local := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); local != a.Addr {
		t.Errorf("connected from %s, want %s", local, a.Addr)
	}
}

// A Pod may listen on its loopback, which a new namespace has down.
func TestLoopbackOfThePodIsUp(t *testing.T) {
	n := networktest.Setup(t)
	a := n.NewPod(t, "a")
	a.ServeNames(t, 8080)
	conn, err := a.Dial("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// With the other side's link address known for good nobody asks for it.
func TestNoAddressIsResolved(t *testing.T) {
	n := networktest.Setup(t)
	a := n.NewPod(t, "a")
	link, err := netlink.LinkByName(links(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil || len(neighbours) != 1 || !neighbours[0].IP.Equal(a.Addr.AsSlice()) || neighbours[0].State != netlink.NUD_PERMANENT {
		t.Errorf("neighbours of the host are %v (%v), want %s, permanent", neighbours, err, a.Addr)
	}
}

func TestMTUFollowsTheDefaultRoute(t *testing.T) {
	n := networktest.Setup(t)
	n.NewNeighbour(t, "world")
	uplink, err := netlink.LinkByName("uplink")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMTU(uplink, 1400); err != nil {
		t.Fatal(err)
	}
	n.NewPod(t, "a")
	link, err := netlink.LinkByName(links(t)[0])
	if err != nil || link.Attrs().MTU != 1400 {
		t.Errorf("MTU is %d (%v), want 1400", link.Attrs().MTU, err)
	}
}

func TestDelIsIdempotent(t *testing.T) {
	n := networktest.Setup(t)
	pod := n.NewPod(t, "a")
	for _, namespace := range []string{pod.Namespace, pod.Namespace, "", "/proc/none"} {
		if _, err := n.Plugin("DEL", "a", namespace, nil); err != nil {
			t.Errorf("namespace %q: %v", namespace, err)
		}
	}
	expectNothingLeft(t, n)
}

func TestReleasedAddressIsUsedLast(t *testing.T) {
	n := networktest.Setup(t)
	a := n.NewPod(t, "a")
	if _, err := n.Plugin("DEL", "a", "", nil); err != nil {
		t.Fatal(err)
	}
	if b := n.NewPod(t, "b"); b.Addr != a.Addr.Next() {
		t.Errorf("the next Pod got %s, want %s", b.Addr, a.Addr.Next())
	}
}

func TestAddAgainGivesTheSameAddress(t *testing.T) {
	n := networktest.Setup(t)
	a := n.NewPod(t, "a")
	again := networktest.Namespace(t, "a again")
	out, err := n.Plugin("ADD", "a", again.Namespace, nil)
	if err != nil || !strings.Contains(string(out), a.Addr.String()+"/32") {
		t.Errorf("result %s (%v), want the address %s", out, err, a.Addr)
	}
	if now := links(t); len(now) != 1 {
		t.Errorf("links %v, want one", now)
	}
}

func TestFailedAddLeavesNothing(t *testing.T) {
	n := networktest.Setup(t)
	occupied := networktest.Namespace(t, "occupied")
	for name, test := range map[string]struct {
		namespace string
		extra     map[string]any
		want      string
	}{
		"no namespace":        {"/proc/none", nil, "/proc/none"},
		"no address":          {occupied.Namespace, map[string]any{"podCIDR": "nonsense"}, "reading the network configuration"},
		"gateway elsewhere":   {occupied.Namespace, map[string]any{"gateway": "192.0.2.1"}, "must be an address of podCIDR"},
		"relative state dir":  {occupied.Namespace, map[string]any{"stateDir": "state"}, "must be an absolute path"},
		"MTU that is too low": {occupied.Namespace, map[string]any{"mtu": 1}, "mtu 1 must be from 576"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := n.Plugin("ADD", "a", test.namespace, test.extra)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
	t.Run("the interface exists", func(t *testing.T) {
		if _, err := n.Plugin("ADD", "a", occupied.Namespace, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Plugin("ADD", "b", occupied.Namespace, nil); err == nil || !strings.Contains(err.Error(), `already has an interface \"eth0\"`) {
			t.Errorf("error %v, want that eth0 exists", err)
		}
		if _, err := n.Plugin("DEL", "a", "", nil); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(filepath.Join(n.StateDir, "addresses")); err == nil {
		expectNothingLeft(t, n)
	}
}

func TestParallelAddsGiveDifferentAddresses(t *testing.T) {
	n := networktest.Setup(t)
	const pods = 20
	results := make([]string, pods)
	var running sync.WaitGroup
	for i := range pods {
		name := fmt.Sprintf("pod-%d", i)
		namespace := networktest.Namespace(t, name)
		running.Go(func() {
			out, err := n.Plugin("ADD", name, namespace.Namespace, nil)
			if err != nil {
				t.Error(err)
			}
			var result struct{ IPs []struct{ Address string } }
			if err := json.Unmarshal(out, &result); err == nil && len(result.IPs) == 1 {
				results[i] = result.IPs[0].Address
			}
		})
	}
	running.Wait()
	seen := map[string]bool{}
	for i, address := range results {
		if address == "" || seen[address] {
			t.Errorf("pod-%d got %q, of all %v", i, address, results)
		}
		seen[address] = true
	}
}

func TestExhaustedRangeIsExplained(t *testing.T) {
	n := networktest.Setup(t)
	// 10.244.0.0/29 has eight addresses: five for Pods.
	small := map[string]any{"podCIDR": "10.244.0.0/29"}
	for i := range 5 {
		pod := networktest.Namespace(t, "pod")
		if _, err := n.Plugin("ADD", fmt.Sprintf("pod-%d", i), pod.Namespace, small); err != nil {
			t.Fatal(err)
		}
	}
	pod := networktest.Namespace(t, "pod")
	_, err := n.Plugin("ADD", "pod-5", pod.Namespace, small)
	if err == nil || !strings.Contains(err.Error(), "all 5 Pod addresses of 10.244.0.0/29 are in use: delete Pods, or start with a larger --pod-cidr") {
		t.Errorf("error %v, want what to do", err)
	}
	if _, err := n.Plugin("DEL", "pod-2", "", small); err != nil {
		t.Fatal(err)
	}
	if out, err := n.Plugin("ADD", "pod-5", pod.Namespace, small); err != nil || !strings.Contains(string(out), "10.244.0.4/32") {
		t.Errorf("result %s (%v), want the address that was released, 10.244.0.4", out, err)
	}
}

func TestCheckFindsWhatIsMissing(t *testing.T) {
	n := networktest.Setup(t)
	pod := n.NewPod(t, "a")
	check := func(want string) {
		t.Helper()
		previous := map[string]any{"prevResult": map[string]any{"cniVersion": "1.1.0"}}
		_, err := n.Plugin("CHECK", "a", pod.Namespace, previous)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	check("")
	link, err := netlink.LinkByName(links(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		t.Fatal(err)
	}
	check("the route to Pod address " + pod.Addr.String())
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	check("interface " + link.Attrs().Name)
}

func TestStatusTellsWhetherTheGatewayIsThere(t *testing.T) {
	n := networktest.Setup(t)
	if _, err := n.Plugin("STATUS", "", "", nil); err != nil {
		t.Error(err)
	}
	_, err := n.Plugin("STATUS", "", "", map[string]any{"gateway": "10.244.0.9"})
	if err == nil || !strings.Contains(err.Error(), "the gateway address 10.244.0.9 is on no interface") {
		t.Errorf("error %v, want that the gateway is missing", err)
	}
}

func TestGCRemovesWhatNobodyOwns(t *testing.T) {
	n := networktest.Setup(t)
	kept := n.NewPod(t, "kept")
	n.NewPod(t, "lost")
	valid := map[string]any{"cni.dev/valid-attachments": []map[string]string{{"containerID": "kept", "ifname": "eth0"}}}
	if _, err := n.Plugin("GC", "", "", valid); err != nil {
		t.Fatal(err)
	}
	if now := addresses(t, n); len(now) != 1 || now[0] != kept.Addr.String() {
		t.Errorf("addresses %v, want only %s", now, kept.Addr)
	}
	if now := links(t); len(now) != 1 {
		t.Errorf("links %v, want one", now)
	}
}

// BenchmarkAdd is what the runtime waits for at each Pod's start and end.
func BenchmarkAddDel(b *testing.B) {
	n := networktest.Setup(b)
	pod := networktest.Namespace(b, "pod")
	for range b.N {
		if _, err := n.Plugin("ADD", "pod", pod.Namespace, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := n.Plugin("DEL", "pod", pod.Namespace, nil); err != nil {
			b.Fatal(err)
		}
	}
}
