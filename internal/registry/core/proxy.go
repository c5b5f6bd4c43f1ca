package core

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
)

// proxyStorage serves pods/proxy and services/proxy: any HTTP request, passed
// on to a Pod.
type proxyStorage struct {
	options   func() runtime.Object
	transport http.RoundTripper
	stopping  <-chan struct{}
	// locate finds where a name of the form [scheme:]name[:port] leads.
	locate func(ctx context.Context, name string) (*url.URL, error)
}

var (
	_ rest.Connecter       = &proxyStorage{}
	_ rest.StorageMetadata = &proxyStorage{}
)

func (s *proxyStorage) New() runtime.Object { return s.options() }
func (s *proxyStorage) Destroy()            {}
func (s *proxyStorage) ConnectMethods() []string {
	return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}
}
func (s *proxyStorage) ProducesMIMETypes(string) []string { return []string{"*/*"} }
func (s *proxyStorage) ProducesObject(string) any         { return "" }
func (s *proxyStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return s.options(), true, "path"
}

// Connect returns the handler of one request.
func (s *proxyStorage) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	path := ""
	switch o := options.(type) {
	case *corev1.PodProxyOptions:
		path = o.Path
	case *corev1.ServiceProxyOptions:
		path = o.Path
	default:
		return nil, fmt.Errorf("invalid options object: %#v", options)
	}
	location, err := s.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	location.Path = utilnet.JoinPreservingTrailingSlash(location.Path, path)
	return untilEnd(s.stopping, proxy.NewUpgradeAwareHandler(location, s.transport, true, false, proxy.NewErrorResponder(responder))), nil
}

const (
	// podDialLimit is how long a Pod may take to accept a connection.
	podDialLimit = 30 * time.Second
	// podIdleLimit is how long a connection to a Pod is kept for the next
	// request; it is short, since Pods' addresses are given to others.
	podIdleLimit = 5 * time.Second
)

// toPods leads requests to Pods. They are reached by address, so that a
// certificate's name says nothing; a proxy that the environment names does not
// know those addresses. A nil dial means from here.
func toPods(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: podDialLimit}).DialContext
	}
	return &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		TLSHandshakeTimeout: podDialLimit,
		IdleConnTimeout:     podIdleLimit,
	}
}

// isProxied says whether requests may be led to an address: what a Pod's
// status says must not lead to this machine's own loopback or link.
func isProxied(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsGlobalUnicast()
}

var errNotProxied = apierrors.NewBadRequest("address not allowed")
