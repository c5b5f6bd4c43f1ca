package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/cni"
)

// Machine is this machine as others on its networks see it.
type Machine struct{ PodCIDR netip.Prefix }

// Addresses are the IPv4 addresses by which others reach this machine: those
// of the interfaces that the default routes lead out by, or, where there is no
// such route, of its physical interfaces. A machine that nobody can reach has
// the Pods' gateway address: it answers at least its own programs and Pods.
func (m Machine) Addresses() ([]netip.Addr, error) {
	out, err := defaultInterfaces()
	if err != nil {
		return nil, err
	}
	links, err := cni.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var found []netip.Addr
	for _, link := range links {
		attrs := link.Attrs()
		chosen := slices.Contains(out, attrs.Index)
		if len(out) == 0 {
			chosen = link.Type() == "device" && attrs.Flags&net.FlagLoopback == 0
		}
		if !chosen || attrs.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := cni.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V4) })
		if err != nil {
			return nil, fmt.Errorf("listing the addresses of %s: %w", attrs.Name, err)
		}
		for _, address := range addresses {
			addr, ok := netip.AddrFromSlice(address.IP.To4())
			if ok && addr.IsGlobalUnicast() && !m.PodCIDR.Contains(addr) {
				found = append(found, addr)
			}
		}
	}
	if len(found) == 0 {
		found = append(found, Config{PodCIDR: m.PodCIDR}.Gateway())
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found), nil
}

// defaultInterfaces are the interfaces of the default routes.
func defaultInterfaces() ([]int, error) {
	routes, err := cni.Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var indexes []int
	for _, route := range routes {
		if route.Dst != nil && !(route.Dst.IP.IsUnspecified() && isWhole(route.Dst.Mask)) {
			continue
		}
		if route.LinkIndex > 0 {
			indexes = append(indexes, route.LinkIndex)
		}
		for _, hop := range route.MultiPath {
			indexes = append(indexes, hop.LinkIndex)
		}
	}
	return indexes, nil
}

func isWhole(mask net.IPMask) bool {
	ones, _ := mask.Size()
	return ones == 0
}

// PortFree tells whether nobody listens on a port of an address.
func (m Machine) PortFree(addr netip.Addr, protocol corev1.Protocol, port int32) bool {
	at := net.JoinHostPort(addr.String(), strconv.Itoa(int(port)))
	switch protocol {
	case corev1.ProtocolTCP:
		listener, err := net.Listen("tcp4", at)
		if err == nil {
			err = listener.Close()
		}
		return err == nil
	case corev1.ProtocolUDP:
		conn, err := net.ListenPacket("udp4", at)
		if err == nil {
			err = conn.Close()
		}
		return err == nil
	default:
		return true // nothing else is listened on here
	}
}
