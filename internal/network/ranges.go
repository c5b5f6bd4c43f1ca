package network

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/cni"
)

// checkRanges refuses a range that this machine already uses for something
// else.
func checkRanges(config Config) error {
	routes, err := cni.Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return explain(fmt.Errorf("reading this machine's routes: %w", err))
	}
	for _, route := range routes {
		if route.Dst == nil || route.Protocol == cni.RouteProtocol {
			continue
		}
		name := deviceName(route.LinkIndex)
		if isOurs(name) {
			continue
		}
		for _, r := range []struct {
			flag   string
			prefix netip.Prefix
		}{{"--pod-cidr", config.PodCIDR}, {"--service-cidr", config.ServiceCIDR}} {
			if collides(route, r.prefix) {
				return fmt.Errorf("%s %s collides with the route %s of this machine: choose another range with %s",
					r.flag, r.prefix, describe(route, name), r.flag)
			}
		}
	}
	return nil
}

// collides tells whether a route and a range of ours would take each other's
// packets. A wider route through a gateway (a company's 10.0.0.0/8) does not
// count: ours is the exception to it, as it is to the default route.
func collides(route netlink.Route, prefix netip.Prefix) bool {
	addr, ok := netip.AddrFromSlice(route.Dst.IP.To4())
	if !ok {
		return false
	}
	bits, _ := route.Dst.Mask.Size()
	theirs := netip.PrefixFrom(addr, bits)
	if !theirs.Overlaps(prefix) || bits == 0 {
		return false
	}
	attached := route.Scope == netlink.SCOPE_LINK || route.Scope == netlink.SCOPE_HOST
	return attached || bits >= prefix.Bits()
}

func describe(route netlink.Route, device string) string {
	text := route.Dst.String()
	if route.Gw != nil {
		text += " via " + route.Gw.String()
	}
	if device != "" {
		text += " dev " + device
	}
	return text
}

func deviceName(index int) string {
	if index == 0 {
		return ""
	}
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return ""
	}
	return link.Attrs().Name
}

// isOurs tells a link that we made by its name.
func isOurs(name string) bool {
	return name == Device || name == poolDevice || strings.HasPrefix(name, cni.LinkPrefix)
}
