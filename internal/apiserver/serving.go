package apiserver

import (
	"fmt"
	"net/netip"
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"coxswain.dev/cox/internal/apiserver/pki"
)

// clusterDomain ends every Service's name.
const clusterDomain = "cluster.local"

// serving returns the TLS side of the server.
func serving(authority *pki.Authority, config Config, sockets *listener) (*genericapiserver.SecureServingInfo, error) {
	pair, err := authority.Serving(servedNames(), servedAddresses(config, sockets))
	if err != nil {
		return nil, fmt.Errorf("the serving certificate: %w", err)
	}
	certificate, err := dynamiccertificates.NewStaticCertKeyContent("serving", pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("the serving certificate: %w", err)
	}
	clients, err := dynamiccertificates.NewStaticCAContent("clients", authority.Certificate())
	if err != nil {
		return nil, fmt.Errorf("the certificate authority: %w", err)
	}
	return &genericapiserver.SecureServingInfo{Listener: sockets, Cert: certificate, ClientCA: clients}, nil
}

// servedNames are the names under which clients and Pods reach the server.
func servedNames() []string {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + clusterDomain}
	if hostname, err := os.Hostname(); err == nil && hostname != "localhost" {
		names = append(names, hostname)
	}
	return names
}

func servedAddresses(config Config, sockets *listener) []netip.Addr {
	addresses := append(sockets.addresses(), netip.MustParseAddr("127.0.0.1"), config.serviceAddress())
	if config.PodGateway.IsValid() {
		addresses = append(addresses, config.PodGateway)
	}
	return addresses
}
