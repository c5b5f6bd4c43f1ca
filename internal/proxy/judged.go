package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
)

// judgements tells whose connections are judged by the rules in force.
type judgements struct {
	mu sync.Mutex
	// inForce is nil before the first rules are in force. What it points to
	// does not change.
	inForce *guards
	// changed is closed and replaced at each change.
	changed chan struct{}
}

func (j *judgements) publish(now *guards) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.inForce == now {
		return
	}
	j.inForce = now
	close(j.changed)
	j.changed = make(chan struct{})
}

// has tells whether there is nothing to wait for, and else what to wait for
// before asking again.
func (j *judgements) has(addr netip.Addr) (bool, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.inForce == nil {
		return false, j.changed
	}
	_, known := j.inForce.known[addr]
	return known || !j.inForce.active, j.changed
}

// Judged returns when the rules in force know what NetworkPolicies say about
// podIP, at once if there are none. Until then, the Pod is shut: what it sends
// is lost. It returns ctx's error if that comes first.
func (p *Proxy) Judged(ctx context.Context, podIP netip.Addr) error {
	for {
		done, changed := p.judgements.has(podIP)
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until NetworkPolicies are kept for %s: %w", podIP, ctx.Err())
		}
	}
}
