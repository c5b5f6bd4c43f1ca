package cni

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgetConnections removes the conntrack entries of an address that is given
// up. A client that was cut off leaves entries that last for minutes or days:
// its next connection from the same port would be led to the dead address, and
// the next Pod with this address would get packets that are not meant for it.
// A machine on which this does not work can give addresses up all the same: it
// says so where the runtime's log is.
func forgetConnections(addr netip.Addr) {
	var err error = netlink.ErrDumpInterrupted
	for try := 0; try < dumpTries && errors.Is(err, netlink.ErrDumpInterrupted); try++ {
		_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, connectionsOf(addr.AsSlice()))
	}
	// One that ended by itself meanwhile is as good as removed; and where there
	// always are others that come and go, those of addr have been found.
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
		fmt.Fprintf(os.Stderr, "cox-cni: removing the connections of %s: %v\n", addr, err)
	}
}

// connectionsOf matches the entries of connections from and to an address.
type connectionsOf net.IP

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (c connectionsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	return flow.Forward.SrcIP.Equal(net.IP(c)) || flow.Reverse.SrcIP.Equal(net.IP(c))
}
