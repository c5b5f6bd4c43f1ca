package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/cni"
)

// Device holds the gateway address, and the route of the Service range ends
// there.
const Device = "coxswain0"

// poolDevice holds the addresses of LoadBalancer Services that are not this
// machine's own. It is there while there are any.
const poolDevice = "coxswain-pool"

// ensureDevice brings Device up with the gateway as its only address.
func ensureDevice(gateway netip.Addr) (netlink.Link, error) {
	return ensureAddresses(Device, []netip.Addr{gateway})
}

// ensureAddresses brings a device of ours up with these addresses and no
// others.
func ensureAddresses(name string, wanted []netip.Addr) (netlink.Link, error) {
	device, err := findOrMakeDevice(name)
	if err != nil {
		return nil, err
	}
	// It needs no IPv6 address, and announcing one is traffic for nobody.
	if err := writeSysctl("ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return nil, fmt.Errorf("bringing up interface %s: %w", name, err)
	}
	addrs, err := cni.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(device, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of interface %s: %w", name, err)
	}
	for _, addr := range addrs {
		if has, ok := netip.AddrFromSlice(addr.IP.To4()); ok && !slices.Contains(wanted, has) {
			if err := netlink.AddrDel(device, &addr); err != nil {
				return nil, fmt.Errorf("removing the old address %s of interface %s: %w", addr.IP, name, err)
			}
		}
	}
	for _, addr := range wanted {
		if err := netlink.AddrReplace(device, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, 32))}); err != nil {
			return nil, fmt.Errorf("giving interface %s the address %s: %w", name, addr, err)
		}
	}
	return device, nil
}

// findOrMakeDevice prefers a dummy, which is made for this. An empty bridge
// does the same where the kernel has no dummies.
func findOrMakeDevice(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err == nil {
		return link, nil
	}
	attrs := netlink.LinkAttrs{Name: name}
	for _, candidate := range []netlink.Link{&netlink.Dummy{LinkAttrs: attrs}, &netlink.Bridge{LinkAttrs: attrs}} {
		err = netlink.LinkAdd(candidate)
		if err == nil {
			return netlink.LinkByName(name)
		}
		if !errors.Is(err, unix.EOPNOTSUPP) {
			break
		}
	}
	return nil, fmt.Errorf("making interface %s: %w", name, err)
}

// ensureRoutes leads the Service range to Device, so that what the Service
// rules do not translate never leaves by the default route; and refuses Pod
// addresses that no Pod has.
func ensureRoutes(config Config, device netlink.Link) error {
	services := &netlink.Route{
		LinkIndex: device.Attrs().Index,
		Dst:       ipNet(config.ServiceCIDR.Masked()),
		Src:       config.Gateway().AsSlice(),
		Scope:     netlink.SCOPE_LINK,
		Protocol:  cni.RouteProtocol,
	}
	pods := &netlink.Route{
		Dst:      ipNet(config.PodCIDR.Masked()),
		Type:     unix.RTN_UNREACHABLE,
		Protocol: cni.RouteProtocol,
	}
	for _, route := range []*netlink.Route{services, pods} {
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("adding the route to %s: %w", route.Dst, err)
		}
	}
	return removeOtherRoutes(services, pods)
}

// removeOtherRoutes removes the routes of ranges that an earlier run used.
func removeOtherRoutes(keep ...*netlink.Route) error {
	routes, err := ourRoutes()
	if err != nil {
		return err
	}
	for _, route := range routes {
		bits, _ := route.Dst.Mask.Size()
		wanted := bits == 32
		for _, k := range keep {
			wanted = wanted || route.Dst.String() == k.Dst.String()
		}
		if wanted {
			continue
		}
		if err := netlink.RouteDel(&route); err != nil {
			return fmt.Errorf("removing the old route to %s: %w", route.Dst, err)
		}
	}
	return nil
}

func ourRoutes() ([]netlink.Route, error) {
	routes, err := cni.Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: cni.RouteProtocol}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("reading this machine's routes: %w", err)
	}
	return routes, nil
}

func removeRoutes() error {
	routes, err := ourRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, route := range routes {
		if err := netlink.RouteDel(&route); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("removing the route to %s: %w", route.Dst, err))
		}
	}
	return errors.Join(errs...)
}

// removeLinks removes Device and what is left of the Pods' interfaces.
func removeLinks() error {
	links, err := cni.Dump(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("reading this machine's interfaces: %w", err)
	}
	var errs []error
	for _, link := range links {
		if !isOurs(link.Attrs().Name) {
			continue
		}
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("removing interface %s: %w", link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
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

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}
}
