package app

import (
	"context"
	"errors"
	"net/netip"

	"coxswain.dev/cox/internal/agent"
)

// routers are all who lead connections to Pods. A Pod waits for each.
type routers []agent.Router

// Routed implements agent.Router.
func (all routers) Routed(ctx context.Context, podIP netip.Addr, services []string) error {
	var errs []error
	for _, router := range all {
		errs = append(errs, router.Routed(ctx, podIP, services))
	}
	return errors.Join(errs...)
}

// Unrouted implements agent.Router.
func (all routers) Unrouted(ctx context.Context, podIP netip.Addr) error {
	var errs []error
	for _, router := range all {
		errs = append(errs, router.Unrouted(ctx, podIP))
	}
	return errors.Join(errs...)
}

// Drained implements agent.Router.
func (all routers) Drained(ctx context.Context, podIP netip.Addr) error {
	var errs []error
	for _, router := range all {
		errs = append(errs, router.Drained(ctx, podIP))
	}
	return errors.Join(errs...)
}
