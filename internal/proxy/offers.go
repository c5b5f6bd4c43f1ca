package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/routing"
)

// offers is which addresses the kernel's rules may send new connections to.
type offers struct {
	mu sync.Mutex
	// to counts the rules in force for each address; nil before the first
	// rules are in force, as an earlier run may have left any.
	to map[netip.Addr]offer
	// served are the addresses that were offered at some time since, and
	// whose connections nobody has waited for.
	served map[netip.Addr]bool
	// by has, for each Service (namespace/name) that there is, where its rules
	// lead and which Pods they know to be terminating.
	by map[string]led
	// revision is that of the EndpointSlices in force.
	revision string
	// changed is closed and replaced at each change.
	changed chan struct{}
}

// led is what is in force of one Service.
type led struct {
	to          map[netip.Addr]bool
	terminating map[types.UID]bool
}

// offer counts the rules that offer one address.
type offer struct {
	// lasting is in how many rules it is one of those that serve; terminating
	// in how many it serves on its way out, because there is no other.
	lasting, terminating int
}

func (o *offers) init() {
	o.changed, o.served, o.by = make(chan struct{}), map[netip.Addr]bool{}, map[string]led{}
}

// publish makes changes known: for each address what it is offered by now, and
// for changed Services what their rules in force were made from.
func (o *offers) publish(now func(yield func(netip.Addr, offer) bool), services map[string]view, revision string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.revision = revision
	for service, seen := range services {
		if !seen.exists {
			delete(o.by, service)
			continue
		}
		leads := led{to: map[netip.Addr]bool{}, terminating: seen.terminating}
		for _, rule := range seen.rules {
			for _, endpoint := range rule.Endpoints {
				leads.to[endpoint.Addr()] = true
			}
		}
		o.by[service] = leads
	}
	if o.to == nil {
		o.to = map[netip.Addr]offer{}
	}
	for addr, offer := range now {
		if offer.lasting+offer.terminating == 0 {
			delete(o.to, addr)
		} else {
			o.to[addr], o.served[addr] = offer, true
		}
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// hasServed tells whether an address was offered at some time. The next Pod
// with this address begins anew.
func (o *offers) hasServed(addr netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	served := o.served[addr]
	if _, offered := o.to[addr]; !offered {
		delete(o.served, addr)
	}
	return served
}

// withdrawn tells whether nobody new is led to a Pod, and nobody will be, and
// else what to wait for before asking again.
func (o *offers) withdrawn(pod routing.Leaving) (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil || o.to[pod.IP].lasting > 0 {
		return false, o.changed
	}
	for _, service := range pod.Services {
		if leads, exists := o.by[service]; exists && !leads.terminating[pod.UID] {
			return false, o.changed
		}
	}
	return true, o.changed
}

// missing are those of the Services that do not lead to an address, and what
// to wait for before asking again.
func (o *offers) missing(addr netip.Addr, services []string) ([]string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var missing []string
	for _, service := range services {
		if !o.by[service].to[addr] {
			missing = append(missing, service)
		}
	}
	return missing, o.changed
}

// InForce is the revision up to which the rules in force follow the
// EndpointSlices, empty before there are any, and is closed when something has
// changed.
func (p *Proxy) InForce() (revision string, changed <-chan struct{}) {
	p.offers.mu.Lock()
	defer p.offers.mu.Unlock()
	return p.offers.revision, p.offers.changed
}

// Routed returns when the rules in force lead from each of the Services
// (namespace/name) to podIP. It returns ctx's error if that comes first.
func (p *Proxy) Routed(ctx context.Context, podIP netip.Addr, services []string) error {
	for {
		missing, changed := p.offers.missing(podIP, services)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s sends connections to %s: %w", strings.Join(missing, ", "), podIP, ctx.Err())
		}
	}
}

// Unrouted returns when the rules in force no longer send new connections to a
// Pod, and were made from EndpointSlices that list
// it as terminating, so that none which are under way still can. It returns
// ctx's error if that comes first.
//
// A Pod that is the last endpoint of a Service goes on serving while it
// terminates: there is nobody to send connections to instead, and waiting
// would not find any. That the rules know it as terminating is enough then.
func (p *Proxy) Unrouted(ctx context.Context, pod routing.Leaving) error {
	for {
		done, changed := p.offers.withdrawn(pod)
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until no Service sends connections to %s: %w", pod.IP, ctx.Err())
		}
	}
}
