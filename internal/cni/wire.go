package cni

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// LinkPrefix begins the name of the host's end of every Pod's veth pair.
const LinkPrefix = "coxp"

// RouteProtocol marks the routes that are ours; `ip route` prints it. It is one
// that no routing daemon has registered.
const RouteProtocol = 197

// hostMAC is the link address of the host's end of every pair. Each pair is a
// link of its own, so that it need not be unique; being set, not chosen by the
// kernel, it is left alone by udev's MACAddressPolicy.
var hostMAC = net.HardwareAddr{0x02, 0xc0, 0x00, 0x00, 0x00, 0x01}

// podMAC is the link address of the Pod's end. It follows from the Pod's
// address, so that programs which take it for an identity find it unique.
func podMAC(pod netip.Addr) net.HardwareAddr {
	ip := pod.As4()
	return net.HardwareAddr{0x02, 0xc0, ip[0], ip[1], ip[2], ip[3]}
}

// defaultMTU is used on a machine without a default route.
const defaultMTU = 1500

// wire is one Pod's connection to the host.
type wire struct {
	hostName, podName string
	pod, gateway      netip.Addr
	mtu               int
}

// linkName names the host's end by its owner, so that DEL needs no record.
func linkName(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return LinkPrefix + hex.EncodeToString(sum[:])[:15-len(LinkPrefix)]
}

// connect makes the pair with one end in the namespace, and configures both.
// On an error nothing of it remains.
func (w *wire) connect(namespace netns.NsHandle) (err error) {
	if err := deleteLink(w.hostName); err != nil {
		return err
	}
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: w.hostName, HardwareAddr: hostMAC, MTU: w.mtu},
		PeerName:         w.podName,
		PeerHardwareAddr: podMAC(w.pod),
		PeerNamespace:    netlink.NsFd(namespace),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("the Pod already has an interface %q", w.podName)
		}
		return fmt.Errorf("making the interface pair %s: %w", w.hostName, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, deleteLink(w.hostName))
		}
	}()
	if err := w.configurePod(namespace); err != nil {
		return fmt.Errorf("configuring interface %s of the Pod: %w", w.podName, err)
	}
	if err := w.configureHost(); err != nil {
		return fmt.Errorf("configuring interface %s of the host: %w", w.hostName, err)
	}
	return nil
}

// configurePod works through sockets of the Pod's namespace; this thread never
// enters it.
func (w *wire) configurePod(namespace netns.NsHandle) error {
	pod, err := netlink.NewHandleAt(namespace, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer pod.Close()
	lo, err := pod.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := pod.LinkSetUp(lo); err != nil {
		return err
	}
	link, err := pod.LinkByName(w.podName)
	if err != nil {
		return err
	}
	if err := pod.AddrAdd(link, &netlink.Addr{IPNet: host32(w.pod)}); err != nil {
		return err
	}
	if err := pod.LinkSetUp(link); err != nil {
		return err
	}
	if err := pod.NeighSet(permanent(link, w.gateway, hostMAC)); err != nil {
		return err
	}
	index := link.Attrs().Index
	if err := pod.RouteAdd(&netlink.Route{LinkIndex: index, Dst: host32(w.gateway), Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	return pod.RouteAdd(&netlink.Route{LinkIndex: index, Gw: w.gateway.AsSlice()})
}

func (w *wire) configureHost() error {
	link, err := netlink.LinkByName(w.hostName)
	if err != nil {
		return err
	}
	// Only packets from the Pod's own address are taken from it (rp_filter);
	// the host neither learns from it nor tells it other ways.
	for _, setting := range [][2]string{
		{"ipv4/conf/%s/rp_filter", "1"},
		{"ipv4/conf/%s/forwarding", "1"},
		{"ipv4/conf/%s/accept_redirects", "0"},
		{"ipv4/conf/%s/send_redirects", "0"},
		{"ipv4/conf/%s/route_localnet", "1"},
		{"ipv6/conf/%s/disable_ipv6", "1"},
	} {
		if err := writeSysctl(fmt.Sprintf(setting[0], w.hostName), setting[1]); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	if err := netlink.NeighSet(permanent(link, w.pod, podMAC(w.pod))); err != nil {
		return err
	}
	return netlink.RouteReplace(w.hostRoute(link))
}

// hostRoute leads to the Pod. The host speaks from the gateway address.
func (w *wire) hostRoute(link netlink.Link) *netlink.Route {
	return &netlink.Route{
		LinkIndex: link.Attrs().Index,
		Dst:       host32(w.pod),
		Src:       w.gateway.AsSlice(),
		Scope:     netlink.SCOPE_LINK,
		Protocol:  RouteProtocol,
	}
}

// deleteLink removes the host's end, and so the other end, their addresses,
// routes and neighbours. A link that is not there is fine.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	var missing netlink.LinkNotFoundError
	if err == nil || errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("removing interface %s: %w", name, err)
}

// defaultRouteMTU asks the kernel which way a far address would take, which
// costs the same however many Pods have routes.
func defaultRouteMTU() int {
	routes, err := netlink.RouteGet(net.IPv4(203, 0, 113, 1))
	if err != nil || len(routes) == 0 {
		return defaultMTU
	}
	if routes[0].MTU > 0 {
		return routes[0].MTU
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return defaultMTU
	}
	return link.Attrs().MTU
}

func host32(addr netip.Addr) *net.IPNet {
	return &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}
}

func permanent(link netlink.Link, addr netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac}
}

// writeSysctl sets a value below /proc/sys/net. A missing file means that the
// kernel was built without the feature, so that there is nothing to switch.
func writeSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
