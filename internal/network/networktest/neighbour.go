package networktest

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// HostAddr is this machine's address on the network that neighbours are on,
// once there is one.
var HostAddr = netip.MustParseAddr("192.0.2.1")

var neighbourAddr = netip.MustParseAddr("192.0.2.2")

// NewNeighbour makes another machine on a network of this one, which is also
// this machine's way to the world. It knows nothing of Pods.
func (n *Network) NewNeighbour(t testing.TB, name string) *Pod {
	t.Helper()
	neighbour := Namespace(t, name)
	neighbour.Addr = neighbourAddr
	if err := connectNeighbour(neighbour.handle); err != nil {
		t.Fatalf("connecting neighbour %s: %v", name, err)
	}
	t.Cleanup(func() {
		if link, err := netlink.LinkByName("uplink"); err == nil {
			netlink.LinkDel(link)
		}
	})
	return neighbour
}

func connectNeighbour(namespace netns.NsHandle) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(namespace)}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := bringUp(&netlink.Handle{}, "uplink", HostAddr); err != nil {
		return err
	}
	there, err := netlink.NewHandleAt(namespace, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := bringUp(there, "eth0", neighbourAddr); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{Gw: neighbourAddr.AsSlice()})
}

func bringUp(h *netlink.Handle, name string, addr netip.Addr) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(24, 32)}}); err != nil {
		return err
	}
	return h.LinkSetUp(link)
}

// RouteTo makes the neighbour send packets for a range through a gateway.
func (p *Pod) RouteTo(prefix netip.Prefix, gateway netip.Addr) error {
	there, err := netlink.NewHandleAt(p.handle, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer there.Close()
	return there.RouteAdd(&netlink.Route{Gw: gateway.AsSlice(), Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}})
}

// RouteLoopback makes the Pod send packets for loopback addresses to the host,
// as only a malicious one does.
func (p *Pod) RouteLoopback() error {
	there, err := netlink.NewHandleAt(p.handle, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := p.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0)
	}); err != nil {
		return err
	}
	lo, err := there.LinkByName("lo")
	if err != nil {
		return err
	}
	addrs, err := there.AddrList(lo, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := there.AddrDel(lo, &addr); err != nil {
			return err
		}
	}
	eth0, err := there.LinkByName("eth0")
	if err != nil {
		return err
	}
	gateway, err := there.RouteList(eth0, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, route := range gateway {
		if route.Gw != nil {
			return there.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: route.Gw, Src: p.Addr.AsSlice(),
				Dst: &net.IPNet{IP: net.IPv4(127, 0, 0, 2), Mask: net.CIDRMask(32, 32)}})
		}
	}
	return unix.ENETUNREACH
}
