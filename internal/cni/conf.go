package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
)

// Conf is the plugin's part of the network configuration, which package
// network writes.
type Conf struct {
	types.PluginConf
	// PodCIDR is the IPv4 prefix that addresses come from.
	PodCIDR netip.Prefix `json:"podCIDR"`
	// Gateway is the address that Pods send everything to. It is never given
	// to a Pod, nor are the first and the last address of PodCIDR.
	Gateway netip.Addr `json:"gateway"`
	// StateDir holds the reservations of addresses.
	StateDir string `json:"stateDir"`
	// MTU of the Pods' interfaces; 0 takes that of the host's default route.
	MTU int `json:"mtu,omitempty"`
}

// parseConf reads what the runtime sends on standard input.
func parseConf(stdin []byte) (*Conf, error) {
	conf := &Conf{}
	if err := json.Unmarshal(stdin, conf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "reading the network configuration", err.Error())
	}
	invalid := func(format string, args ...any) error {
		return types.NewError(types.ErrInvalidNetworkConfig, "network configuration of cox-cni", fmt.Sprintf(format, args...))
	}
	switch {
	case !conf.PodCIDR.IsValid() || !conf.PodCIDR.Addr().Is4() || conf.PodCIDR.Bits() > 30:
		return nil, invalid("podCIDR %q must be an IPv4 prefix of at most 30 bits", conf.PodCIDR)
	case !conf.PodCIDR.Contains(conf.Gateway):
		return nil, invalid("gateway %q must be an address of podCIDR %s", conf.Gateway, conf.PodCIDR)
	case !filepath.IsAbs(conf.StateDir):
		return nil, invalid("stateDir %q must be an absolute path", conf.StateDir)
	case conf.MTU != 0 && (conf.MTU < 576 || conf.MTU > 65535):
		return nil, invalid("mtu %d must be from 576 to 65535, or 0", conf.MTU)
	}
	conf.PodCIDR = conf.PodCIDR.Masked()
	return conf, nil
}
