package app

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"coxswain.dev/cox/internal/routing"
)

// routerFake notes what it is asked, and answers with its error.
type routerFake struct {
	err   error
	asked []string
}

func (r *routerFake) note(what string) error {
	r.asked = append(r.asked, what)
	return r.err
}

func (r *routerFake) Routed(context.Context, netip.Addr, []string) error { return r.note("routed") }
func (r *routerFake) Unrouted(context.Context, routing.Leaving) error    { return r.note("unrouted") }
func (r *routerFake) Drained(context.Context, routing.Leaving) error     { return r.note("drained") }

// A Pod waits for each router, though one before has given up.
func TestEveryRouterIsAsked(t *testing.T) {
	late := errors.New("late")
	first, second := &routerFake{err: late}, &routerFake{}
	both := routers{first, second}
	for what, err := range map[string]error{
		"routed":   both.Routed(t.Context(), netip.Addr{}, nil),
		"unrouted": both.Unrouted(t.Context(), routing.Leaving{}),
		"drained":  both.Drained(t.Context(), routing.Leaving{}),
	} {
		if !errors.Is(err, late) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(first.asked) != 3 || len(second.asked) != 3 {
		t.Errorf("asked %v and %v", first.asked, second.asked)
	}
}
