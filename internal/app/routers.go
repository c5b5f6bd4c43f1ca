package app

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"coxswain.dev/cox/internal/agent"
	"coxswain.dev/cox/internal/routing"
)

// routers are all who lead connections to Pods. A Pod waits for each.
type routers []agent.Router

// Routed implements agent.Router. As with Unrouted, the last one is asked first:
// its rules follow the caches that the others are measured by.
func (all routers) Routed(ctx context.Context, podIP netip.Addr, services []string) error {
	var errs []error
	for _, router := range slices.Backward(all) {
		errs = append(errs, router.Routed(ctx, podIP, services))
	}
	return errors.Join(errs...)
}

// Unrouted implements agent.Router. The last one is asked first: it waits for
// what the caches show, which the others share.
func (all routers) Unrouted(ctx context.Context, pod routing.Leaving) error {
	var errs []error
	for _, router := range slices.Backward(all) {
		errs = append(errs, router.Unrouted(ctx, pod))
	}
	return errors.Join(errs...)
}

// Drained implements agent.Router.
func (all routers) Drained(ctx context.Context, pod routing.Leaving) error {
	var errs []error
	for _, router := range all {
		errs = append(errs, router.Drained(ctx, pod))
	}
	return errors.Join(errs...)
}
