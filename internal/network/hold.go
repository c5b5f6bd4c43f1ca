package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Hold makes the machine have these addresses besides its own, so that it
// answers for them on every network it is on, and gives up those that it was
// made to have before.
func (m Machine) Hold(addresses []netip.Addr) error {
	if len(addresses) > 0 {
		_, err := ensureAddresses(poolDevice, addresses)
		return explain(err)
	}
	link, err := netlink.LinkByName(poolDevice)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return explain(fmt.Errorf("removing interface %s: %w", poolDevice, err))
	}
	return nil
}
