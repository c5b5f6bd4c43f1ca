package ingress

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"coxswain.dev/cox/internal/routing"
)

// Routed returns when podIP gets requests for each of the Services
// (namespace/name) that an Ingress leads to, or with ctx's error if that comes
// first.
func (f *Front) Routed(ctx context.Context, podIP netip.Addr, services []string) error {
	for {
		changed := f.pool.change()
		missing := f.pool.missing(podIP, services)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until Ingresses send requests for %s to %s: %w", strings.Join(missing, ", "), podIP, ctx.Err())
		}
	}
}

// Unrouted returns when no new request is sent to a Pod, or with ctx's error if
// that comes first. It is asked when the EndpointSlices in the cache list the
// Pod as terminating, and returns when they were looked at since. A Pod that is
// the last of its Service goes on getting requests: there is nobody else.
func (f *Front) Unrouted(ctx context.Context, pod routing.Leaving) error {
	return f.await(ctx, fmt.Sprintf("no Ingress sends requests to %s", pod.IP), func() bool { return !f.pool.sendsTo(pod.IP) })
}

// Follow returns when requests are sent by what the cache shows now, or with
// ctx's error if that comes first.
func (f *Front) Follow(ctx context.Context) error {
	return f.await(ctx, "Ingresses follow the EndpointSlices", func() bool { return true })
}

// await looks at what the cache shows, and returns when that is served and
// something holds.
func (f *Front) await(ctx context.Context, what string, holds func() bool) error {
	if f.backends.Load() == nil {
		return nil // there is no Ingress
	}
	next := f.begun.Load() + 1
	f.look()
	for {
		changed := f.pool.change()
		if f.pool.lookedAt() >= next && holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// Drained returns when a Pod has answered every request that was sent to it, or
// with ctx's error if that comes first. Connections without a request are
// closed already; upgraded ones (WebSocket) are the proxy's to watch, like any
// other connection.
func (f *Front) Drained(ctx context.Context, pod routing.Leaving) error {
	f.pool.waiting.Add(1)
	defer f.pool.waiting.Add(-1)
	for {
		changed := f.pool.change()
		underway := f.pool.underway(pod.IP)
		if underway == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d requests under way to %s: %w", underway, pod.IP, ctx.Err())
		}
	}
}
