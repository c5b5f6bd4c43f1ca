package network_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/cni"
	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/routing"
)

func testConfig(t *testing.T) network.Config {
	dir := t.TempDir()
	return network.Config{
		PodCIDR:     netip.MustParsePrefix("10.244.0.0/16"),
		ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		ConfDir:     filepath.Join(dir, "cni"),
		StateDir:    filepath.Join(dir, "state"),
	}
}

// describeHost is what Setup may change, as text.
func describeHost(t *testing.T) string {
	t.Helper()
	var lines []string
	links, err := cni.Dump(netlink.LinkList)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, addr := range addrs {
			texts = append(texts, addr.IPNet.String())
		}
		lines = append(lines, fmt.Sprintf("link %s up=%v %v", link.Attrs().Name, link.Attrs().Flags&net.FlagUp != 0, texts))
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		lines = append(lines, fmt.Sprintf("route %s src %s type %d", route.Dst, route.Src, route.Type))
	}
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		lines = append(lines, "table "+table.Name)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestSetupTwiceAndTeardown(t *testing.T) {
	config := testConfig(t)
	before := describeHost(t)
	for try := range 2 {
		if err := network.Setup(config); err != nil {
			t.Fatalf("try %d: %v", try, err)
		}
		want := strings.Join([]string{
			"link coxswain0 up=true [10.244.0.1/32]",
			"link lo up=true [127.0.0.1/8]",
			"route 10.244.0.0/16 src <nil> type 7",
			"route 10.96.0.0/12 src 10.244.0.1 type 1",
		}, "\n")
		if diff := cmp.Diff(want, describeHost(t)); diff != "" {
			t.Errorf("try %d: the host (-want +got):\n%s", try, diff)
		}
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil || string(forward) != "1\n" {
		t.Errorf("ip_forward is %q (%v), want 1", forward, err)
	}
	// What the Service rules leave behind goes too.
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	conn.AddTable(&nftables.Table{Name: routing.TableName, Family: nftables.TableFamilyIPv4})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for try := range 2 {
		if err := network.Teardown(config); err != nil {
			t.Errorf("Teardown, try %d: %v", try, err)
		}
		if diff := cmp.Diff(before, describeHost(t)); diff != "" {
			t.Errorf("Teardown, try %d: the host (-before +after):\n%s", try, diff)
		}
	}
	if left, err := os.ReadDir(config.ConfDir); err != nil || len(left) > 0 {
		t.Errorf("files %v (%v) are left", left, err)
	}
}

func TestSetupMovesToOtherRanges(t *testing.T) {
	first := testConfig(t)
	second := first
	second.PodCIDR, second.ServiceCIDR = netip.MustParsePrefix("10.11.0.0/16"), netip.MustParsePrefix("10.12.0.0/16")
	for _, config := range []network.Config{first, second} {
		if err := network.Setup(config); err != nil {
			t.Fatal(err)
		}
	}
	defer network.Teardown(second)
	want := strings.Join([]string{
		"link coxswain0 up=true [10.11.0.1/32]",
		"link lo up=true [127.0.0.1/8]",
		"route 10.11.0.0/16 src <nil> type 7",
		"route 10.12.0.0/16 src 10.11.0.1 type 1",
	}, "\n")
	if diff := cmp.Diff(want, describeHost(t)); diff != "" {
		t.Errorf("the host (-want +got):\n%s", diff)
	}
}

func TestConfIsWrittenOnceForTheSame(t *testing.T) {
	config := testConfig(t)
	config.StateDir = filepath.Join(config.StateDir, "../state")
	if err := network.Setup(config); err != nil {
		t.Fatal(err)
	}
	defer network.Teardown(config)
	path := filepath.Join(config.ConfDir, "00-coxswain.conflist")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`{
  "cniVersion": "1.0.0",
  "name": "coxswain",
  "plugins": [
    {
      "gateway": "10.244.0.1",
      "podCIDR": "10.244.0.0/16",
      "stateDir": "STATE",
      "type": "cox-cni"
    }
  ]
}`, "STATE", config.StateDir)
	if diff := cmp.Diff(want, string(content)); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := network.Setup(config); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was written again (%v)", err)
	}
}

func TestRangeInUseIsRefused(t *testing.T) {
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "lan"}}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	defer netlink.LinkDel(link)
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("172.20.0.2/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, route   string
		pods, service string
		want          string
	}{
		{"attached, within the Pods' range", "", "172.20.0.0/16", "", "--pod-cidr 172.20.0.0/16 collides with the route 172.20.0.0/24 dev lan of this machine: choose another range with --pod-cidr"},
		{"attached, around the Services' range", "", "", "172.20.0.0/28", "--service-cidr 172.20.0.0/28 collides with the route 172.20.0.0/24 dev lan"},
		{"the same range by a gateway", "10.244.0.0/16", "", "", "--pod-cidr 10.244.0.0/16 collides with the route 10.244.0.0/16 via 172.20.0.1 dev lan"},
		{"part of the range by a gateway", "10.100.0.0/24", "", "", "--service-cidr 10.96.0.0/12 collides with the route 10.100.0.0/24 via 172.20.0.1 dev lan"},
		{"a wider range by a gateway", "10.0.0.0/8", "", "", ""},
		{"the default route", "0.0.0.0/0", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := testConfig(t)
			if test.pods != "" {
				config.PodCIDR = netip.MustParsePrefix(test.pods)
			}
			if test.service != "" {
				config.ServiceCIDR = netip.MustParsePrefix(test.service)
			}
			if test.route != "" {
				_, dst, err := net.ParseCIDR(test.route)
				if err != nil {
					t.Fatal(err)
				}
				route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: net.IPv4(172, 20, 0, 1)}
				if err := netlink.RouteAdd(route); err != nil {
					t.Fatal(err)
				}
				defer netlink.RouteDel(route)
			}
			before := describeHost(t)
			err := network.Setup(config)
			defer network.Teardown(config)
			if test.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if diff := cmp.Diff(before, describeHost(t)); diff != "" {
				t.Errorf("the refused range changed the host:\n%s", diff)
			}
		})
	}
}

func TestMissingCapabilityIsExplained(t *testing.T) {
	done := make(chan error, 1)
	config := testConfig(t)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and what it may
		// do with it.
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			done <- err
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			done <- err
			return
		}
		done <- network.Setup(config)
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("error %v, want CAP_NET_ADMIN in it", err)
	}
}
