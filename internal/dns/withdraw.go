package dns

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// Routed has nothing to wait for: clients ask for a name when they want to go
// there, and a Pod that no answer names yet keeps nobody waiting.
func (s *Server) Routed(context.Context, netip.Addr, []string) error { return nil }

// Unrouted returns when no answer names a Pod as an endpoint that lasts, or with
// ctx's error if that comes first. It is asked when the cache lists the Pod as
// terminating, for answers are made from it. As those about endpoints may be
// used only once, nobody goes by an older one.
//
// An endpoint that is named while it terminates is one of a Service that
// publishes addresses that are not ready: it stays until its Pod is gone.
func (s *Server) Unrouted(ctx context.Context, pod routing.Leaving) error {
	// What the API said before this server knew of it is answered for, too.
	if !cache.WaitForCacheSync(ctx.Done(), s.records.synced...) {
		return fmt.Errorf("waiting until Services and endpoints are known, to take %s out of DNS answers: %w", pod.IP, ctx.Err())
	}
	for {
		changed := s.records.changes.wait()
		if !s.records.lasts(pod.IP) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until no DNS answer names %s: %w", pod.IP, ctx.Err())
		}
	}
}

// Drained has nothing to wait for: connections are the proxy's to watch.
func (s *Server) Drained(context.Context, routing.Leaving) error { return nil }

// lasts tells whether answers name an address as an endpoint that is ready and
// not on its way out.
func (r *records) lasts(addr netip.Addr) bool {
	for endpoint := range r.endpointsAt(addr) {
		if terminating := endpoint.Conditions.Terminating; isReady(endpoint) && (terminating == nil || !*terminating) {
			return true
		}
	}
	return false
}

// changes tells whoever waits that objects have changed.
type changes struct {
	mu sync.Mutex
	// next is closed and replaced at each change.
	next chan struct{}
}

// wait is closed at the next change.
func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

func (c *changes) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.tell() },
		UpdateFunc: func(any, any) { c.tell() },
		DeleteFunc: func(any) { c.tell() },
	}
}
