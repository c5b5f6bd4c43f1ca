package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// target is a port of a Pod.
type target struct {
	address netip.AddrPort
	// cleartext2 speaks HTTP/2 without TLS, as gRPC servers do: the Service's
	// appProtocol is kubernetes.io/h2c.
	cleartext2 bool
}

// upstream is a Pod that requests are sent to, with its own connections: those
// to one Pod can be closed without touching others.
type upstream struct {
	target
	transport *http.Transport
	// underway are the requests that have no whole answer yet. Connections
	// that were upgraded do not count: they last as long as both sides like.
	underway atomic.Int64
	// leaving says that the Pod is not ready any more, gone that nothing leads
	// to it. Both are guarded by the pool.
	leaving, gone bool
}

const (
	// dialLimit is how long a Pod on this machine's network may take to accept.
	dialLimit = 2 * time.Second
	// idleTime is how long a connection is kept for the next request. It is
	// shorter than the shortest that well-known servers have by default
	// (2 s): a request never meets a connection that is just being closed.
	idleTime = 1500 * time.Millisecond
	// idleMost bounds the connections that are kept to one Pod.
	idleMost = 256
)

func newUpstream(t target) *upstream {
	u := &upstream{target: t, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialLimit}).DialContext,
		MaxIdleConnsPerHost: idleMost,
		IdleConnTimeout:     idleTime,
		// What is sent is the client's and the program's matter.
		DisableCompression: true,
	}}
	if t.cleartext2 {
		u.transport.Protocols = new(http.Protocols)
		u.transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return u
}
