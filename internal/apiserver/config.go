package apiserver

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
)

// Version is what /version says when Config.Version is empty: the version of
// Kubernetes whose behaviour is matched.
const Version = "v1.37.2+cox"

// NodeDialer finds the handler of a node's agent, which serves what a kubelet
// serves (/containerLogs/…).
type NodeDialer interface {
	// Node returns the handler of the named node, or an error that says why
	// it cannot be reached.
	Node(name string) (http.Handler, error)
}

// Config says where a Server keeps its keys, where it listens and what it
// serves.
type Config struct {
	// DataDir holds pki/ with the certificates and keys.
	DataDir string
	// Listen are the addresses of --listen ("127.0.0.1:6443"); port 0 picks a
	// free one. The first one's port is also used at PodGateway.
	Listen []string
	// PodGateway is the address by which Pods reach this machine. It is
	// listened on too, and is the endpoint of the kubernetes Service. The
	// zero value leaves both out.
	PodGateway netip.Addr
	// PodCIDR and ServiceCIDR are the ranges that Pod and Service addresses
	// are taken from; the zero values mean 10.244.0.0/16 and 10.96.0.0/12.
	PodCIDR, ServiceCIDR netip.Prefix
	// EtcdEndpoint is the store's URL.
	EtcdEndpoint string
	// Nodes is nil where there are none, as in tests.
	Nodes NodeDialer
	// DialPods connects pods/proxy and services/proxy to Pods; nil dials from
	// here.
	DialPods func(ctx context.Context, network, address string) (net.Conn, error)
	Logger   *slog.Logger
	// Version is shown by /version; empty means Version.
	Version string
}

// withDefaults fills what may be left empty.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Version == "" {
		c.Version = Version
	}
	if !c.ServiceCIDR.IsValid() {
		c.ServiceCIDR = netip.MustParsePrefix("10.96.0.0/12")
	}
	if !c.PodCIDR.IsValid() {
		c.PodCIDR = netip.MustParsePrefix("10.244.0.0/16")
	}
	return c
}

// serviceAddress is the address of the kubernetes Service: the first of the
// range.
func (c Config) serviceAddress() netip.Addr { return c.ServiceCIDR.Masked().Addr().Next() }
