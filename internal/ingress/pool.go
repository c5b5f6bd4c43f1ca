package ingress

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// endpoints are where a Backend is served.
type endpoints struct {
	// ready are chosen from. leaving are Pods that terminate but serve still:
	// they are sent to only if nobody else is left.
	ready, leaving []target
	// portKnown says that the Service has the port that is asked for.
	portKnown bool
	// trouble says why there are none, for the client.
	trouble string
}

// served is what the front has at a time: it is replaced as a whole.
type served struct {
	table    *Table
	backends map[Backend]endpoints
}

// pool knows the Pods that requests are sent to, and how many are under way to
// each.
type pool struct {
	// mu makes choosing a Pod and counting the request one step: once replace
	// has returned, every request that was sent by older rules is counted.
	mu  sync.RWMutex
	now served
	// pass is the number of the look that now is from.
	pass      int64
	upstreams map[target]*upstream
	// ready are the addresses of all targets that are ready for any Backend.
	ready map[netip.Addr]bool

	changedMu sync.Mutex
	// changed is closed and replaced when somebody may have waited for
	// something: new rules, or a Pod on its way out with no more requests.
	changed chan struct{}
	// waiting counts those who wait for requests to end.
	waiting atomic.Int32
}

func newPool() *pool {
	return &pool{upstreams: map[target]*upstream{}, changed: make(chan struct{})}
}

// What becomes of a request that is sent nowhere.
var (
	errNoRoute = errors.New("no Ingress has a rule for it")
	// errNoneLeft is returned when every Pod was tried.
	errNoneLeft = errors.New("no other Pod is left to try")
)

// unserved is why a Backend cannot be reached at all.
type unserved struct{ trouble string }

func (u unserved) Error() string { return u.trouble }

// take chooses a Pod for a request, of those that were not tried, and counts
// the request until release.
func (p *pool) take(host, path string, tried []target) (*upstream, Route, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.now.table == nil {
		return nil, Route{}, errNoRoute
	}
	route, ok := p.now.table.Match(host, path)
	if !ok {
		return nil, Route{}, errNoRoute
	}
	if route.Backend.Resource != "" {
		return nil, route, unserved{"is no Service: only Services are served"}
	}
	all := p.now.backends[route.Backend]
	for _, candidates := range [][]target{all.ready, all.leaving} {
		if chosen := p.choose(candidates, tried); chosen != nil {
			chosen.underway.Add(1)
			return chosen, route, nil
		}
	}
	if len(tried) > 0 {
		return nil, route, errNoneLeft
	}
	return nil, route, unserved{all.trouble}
}

// choose takes the less busy one of two at random, which spreads as well as
// looking at all of them does.
func (p *pool) choose(candidates, tried []target) *upstream {
	if len(tried) > 0 {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(t target) bool { return slices.Contains(tried, t) })
	}
	switch n := len(candidates); n {
	case 0:
		return nil
	case 1:
		return p.upstreams[candidates[0]]
	default:
		first := rand.IntN(n)
		second := (first + 1 + rand.IntN(n-1)) % n
		a, b := p.upstreams[candidates[first]], p.upstreams[candidates[second]]
		if b.underway.Load() < a.underway.Load() {
			return b
		}
		return a
	}
}

// release ends a request that take has counted.
func (p *pool) release(u *upstream) {
	if u.underway.Add(-1) > 0 {
		return
	}
	p.mu.RLock()
	leaving, gone := u.leaving, u.gone
	p.mu.RUnlock()
	if !leaving && p.waiting.Load() == 0 {
		return
	}
	if leaving {
		u.transport.CloseIdleConnections()
	}
	if gone {
		p.mu.Lock()
		p.forget(u)
		p.mu.Unlock()
	}
	p.tell()
}

// replace makes new rules the only ones, and closes the connections that are
// kept to Pods on their way out.
func (p *pool) replace(now served, pass int64) {
	ready, known := map[target]bool{}, map[target]bool{}
	for _, all := range now.backends {
		for _, t := range all.ready {
			ready[t], known[t] = true, true
		}
		for _, t := range all.leaving {
			known[t] = true
		}
	}
	p.mu.Lock()
	p.now, p.pass, p.ready = now, pass, map[netip.Addr]bool{}
	for t := range known {
		if p.upstreams[t] == nil {
			p.upstreams[t] = newUpstream(t)
		}
	}
	var left []*upstream
	for t, u := range p.upstreams {
		if ready[t] {
			p.ready[t.address.Addr()] = true
		}
		u.leaving, u.gone = !ready[t], !known[t]
		if u.leaving {
			left = append(left, u)
		}
		p.forget(u)
	}
	p.mu.Unlock()
	for _, u := range left {
		u.transport.CloseIdleConnections()
	}
	p.tell()
}

// forget drops a Pod that is gone and has no more requests. p.mu is held.
func (p *pool) forget(u *upstream) {
	if u.gone && u.underway.Load() == 0 {
		delete(p.upstreams, u.target)
	}
}

// tell wakes whoever waits for a change.
func (p *pool) tell() {
	p.changedMu.Lock()
	defer p.changedMu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// change is closed at the next change.
func (p *pool) change() <-chan struct{} {
	p.changedMu.Lock()
	defer p.changedMu.Unlock()
	return p.changed
}

// missing are the Services (namespace/name) whose requests are not sent to an
// address yet, of those that have a port to send them to.
func (p *pool) missing(address netip.Addr, services []string) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var missing []string
	for b, all := range p.now.backends {
		name := b.Namespace + "/" + b.Service
		sent := slices.ContainsFunc(all.ready, func(t target) bool { return t.address.Addr() == address })
		if all.portKnown && !sent && slices.Contains(services, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// lookedAt is the number of the look that the rules are from.
func (p *pool) lookedAt() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pass
}

// sendsTo tells whether new requests may be sent to an address as one of those
// that serve.
func (p *pool) sendsTo(address netip.Addr) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.ready[address]
}

// underway counts the requests that an address has not answered yet.
func (p *pool) underway(address netip.Addr) (n int64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for t, u := range p.upstreams {
		if t.address.Addr() == address {
			n += u.underway.Load()
		}
	}
	return n
}
