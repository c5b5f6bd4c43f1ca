package cni

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Main answers one call of the runtime, and exits.
func Main() {
	skel.PluginMainFuncs(
		skel.CNIFuncs{Add: add, Del: del, Check: check, Status: status, GC: collect},
		version.PluginSupports("0.3.1", "0.4.0", "1.0.0", "1.1.0"),
		"cox-cni: one routed veth pair and one address for each Pod",
	)
}

// ownerOf names who holds an address: a container's interface.
func ownerOf(containerID, ifName string) string { return containerID + "." + ifName }

// add connects a Pod to the host. A second ADD for the same container makes
// the connection anew, with the same address.
func add(args *skel.CmdArgs) error {
	conf, err := parseConf(args.StdinData)
	if err != nil {
		return err
	}
	reservations, err := openReservations(conf)
	if err != nil {
		return err
	}
	namespace, err := netns.GetFromPath(args.Netns)
	if err != nil {
		return fmt.Errorf("opening the Pod's network namespace %s: %w", args.Netns, err)
	}
	defer namespace.Close()

	owner := ownerOf(args.ContainerID, args.IfName)
	addr, err := reservations.Reserve(owner, linked)
	if err != nil {
		return err
	}
	w := &wire{hostName: linkName(owner), podName: args.IfName, pod: addr, gateway: conf.Gateway, mtu: conf.MTU}
	if w.mtu == 0 {
		w.mtu = defaultRouteMTU()
	}
	if err := w.connect(namespace); err != nil {
		return errors.Join(err, reservations.Release(owner))
	}
	return types.PrintResult(w.result(args.Netns), conf.CNIVersion)
}

// del undoes add, whatever is left of it. It needs neither the namespace nor
// any record but the container's name.
func del(args *skel.CmdArgs) error {
	conf, err := parseConf(args.StdinData)
	if err != nil {
		return err
	}
	reservations, err := openReservations(conf)
	if err != nil {
		return err
	}
	owner := ownerOf(args.ContainerID, args.IfName)
	// The address is free only when no route leads to it.
	if err := deleteLink(linkName(owner)); err != nil {
		return err
	}
	return reservations.Release(owner)
}

// check tells whether what add made is still there.
func check(args *skel.CmdArgs) error {
	conf, err := parseConf(args.StdinData)
	if err != nil {
		return err
	}
	reservations, err := openReservations(conf)
	if err != nil {
		return err
	}
	owner := ownerOf(args.ContainerID, args.IfName)
	addr, err := reservations.Of(owner)
	if err != nil {
		return err
	}
	if !addr.IsValid() {
		return fmt.Errorf("container %s has no address on interface %s", args.ContainerID, args.IfName)
	}
	link, err := netlink.LinkByName(linkName(owner))
	if err != nil {
		return fmt.Errorf("interface %s of the host: %w", linkName(owner), err)
	}
	routes, err := Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4,
			&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host32(addr)}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST)
	})
	if err != nil {
		return err
	}
	if len(routes) == 0 {
		return fmt.Errorf("the route to Pod address %s through %s is missing", addr, linkName(owner))
	}
	return checkPod(args, addr.AsSlice())
}

func checkPod(args *skel.CmdArgs, want net.IP) error {
	namespace, err := netns.GetFromPath(args.Netns)
	if err != nil {
		return fmt.Errorf("opening the Pod's network namespace %s: %w", args.Netns, err)
	}
	defer namespace.Close()
	pod, err := netlink.NewHandleAt(namespace)
	if err != nil {
		return err
	}
	defer pod.Close()
	link, err := pod.LinkByName(args.IfName)
	if err != nil {
		return fmt.Errorf("interface %s of the Pod: %w", args.IfName, err)
	}
	addrs, err := Dump(func() ([]netlink.Addr, error) { return pod.AddrList(link, netlink.FAMILY_V4) })
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if addr.IP.Equal(want) {
			return nil
		}
	}
	return fmt.Errorf("interface %s of the Pod has lost its address %s", args.IfName, want)
}

// status tells whether an ADD can work: addresses can be kept and the gateway
// is up.
func status(args *skel.CmdArgs) error {
	conf, err := parseConf(args.StdinData)
	if err != nil {
		return err
	}
	notAvailable := func(err error) error {
		return types.NewError(types.ErrPluginNotAvailable, "the Pod network is not ready", err.Error())
	}
	if _, err := openReservations(conf); err != nil {
		return notAvailable(err)
	}
	addrs, err := Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return notAvailable(err)
	}
	for _, addr := range addrs {
		if addr.IP.Equal(conf.Gateway.AsSlice()) {
			return nil
		}
	}
	return notAvailable(fmt.Errorf("the gateway address %s is on no interface: is cox running?", conf.Gateway))
}

// collect removes what belongs to no container that the runtime still has.
func collect(args *skel.CmdArgs) error {
	conf, err := parseConf(args.StdinData)
	if err != nil {
		return err
	}
	reservations, err := openReservations(conf)
	if err != nil {
		return err
	}
	owners, links := map[string]bool{}, map[string]bool{}
	for _, a := range conf.ValidAttachments {
		owner := ownerOf(a.ContainerID, a.IfName)
		owners[owner], links[linkName(owner)] = true, true
	}
	all, err := Dump(netlink.LinkList)
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range all {
		name := link.Attrs().Name
		if strings.HasPrefix(name, LinkPrefix) && !links[name] {
			errs = append(errs, deleteLink(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return reservations.ReleaseIf(func(owner string) bool { return !owners[owner] })
}

// linked tells whether an owner's interface exists.
func linked(owner string) bool {
	_, err := netlink.LinkByName(linkName(owner))
	return err == nil
}

// result tells the runtime what the Pod got.
func (w *wire) result(namespace string) *current.Result {
	podInterface := 1
	return &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{
			{Name: w.hostName, Mac: hostMAC.String()},
			{Name: w.podName, Mac: podMAC(w.pod).String(), Mtu: w.mtu, Sandbox: namespace},
		},
		IPs: []*current.IPConfig{{
			Interface: &podInterface,
			Address:   *host32(w.pod),
			Gateway:   w.gateway.AsSlice(),
		}},
		Routes: []*types.Route{{
			Dst: net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)},
			GW:  w.gateway.AsSlice(),
		}},
	}
}
