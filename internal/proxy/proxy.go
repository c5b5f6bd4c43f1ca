package proxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// Config is what a Proxy works with.
type Config struct {
	// Client reaches the API. It is not used when Informers is set.
	Client kubernetes.Interface
	// Informers may be shared with others; nil makes our own from Client,
	// which keep only what rules are made of.
	Informers informers.SharedInformerFactory
	// NodeName is this machine's Node.
	NodeName string
	// PodCIDR and ServiceCIDR are what package network was set up with, and
	// Gateway the first address of PodCIDR.
	PodCIDR, ServiceCIDR netip.Prefix
	Gateway              netip.Addr
	// Logger is told about what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

// Proxy keeps the kernel's Service rules equal to what the API says.
type Proxy struct {
	config  Config
	log     *slog.Logger
	sources sources

	// dirty are the owners to look at again; wake has room for one signal.
	// revision is the newest of the EndpointSlices that they are due to.
	dirtyMu  sync.Mutex
	dirty    map[owner]struct{}
	revision string
	wake     chan struct{}
	// disturbed says that somebody else changed our table.
	disturbed chan struct{}

	// table is what is wanted. Only the goroutine of Run uses it and kernel.
	table  routing.Table
	kernel *kernel
	// unpublished are the views of Services whose rules have changed since they
	// were last in force.
	unpublished map[string]view

	offers     offers
	looks      looks
	judgements judgements
	forgetter  *forgetter
}

// Retries of a transaction that failed begin at retryFirst and slow down to
// retryLast.
const (
	retryFirst = 50 * time.Millisecond
	retryLast  = 5 * time.Second
)

// rebuildPause lies between rebuilds, so that whoever fights over our table
// does not cost a processor.
const rebuildPause = 100 * time.Millisecond

// New prepares a Proxy. Nothing happens before Run.
func New(config Config) (*Proxy, error) {
	switch {
	case config.Client == nil && config.Informers == nil:
		return nil, fmt.Errorf("proxy: a client or informers are needed")
	case !config.PodCIDR.IsValid() || !config.ServiceCIDR.IsValid() || !config.Gateway.Is4():
		return nil, fmt.Errorf("proxy: Pod range %s, Service range %s and gateway %s must be valid IPv4", config.PodCIDR, config.ServiceCIDR, config.Gateway)
	}
	if config.Informers == nil {
		config.Informers = informers.NewSharedInformerFactoryWithOptions(config.Client, 0, informers.WithTransform(strip))
	}
	p := &Proxy{
		config:      config,
		log:         cmp.Or(config.Logger, slog.Default()),
		dirty:       map[owner]struct{}{},
		unpublished: map[string]view{},
		wake:        make(chan struct{}, 1),
		disturbed:   make(chan struct{}, 1),
	}
	p.offers.init()
	p.judgements.changed = make(chan struct{})
	p.forgetter = newForgetter(p.log)
	if err := p.sources.init(config.Informers, config.NodeName); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return p, nil
}

// Run applies changes until ctx ends. The rules stay behind. It returns an
// error only if it cannot begin.
func (p *Proxy) Run(ctx context.Context) error {
	registrations, err := p.sources.subscribe(p.mark, p.note)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer registrations.remove()
	p.config.Informers.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), registrations.synced...) {
		return nil
	}
	p.kernel = newKernel(p.config)
	defer p.kernel.close()
	monitor, err := startMonitor(p.kernel.isOwn, p.signalDisturbed)
	if err != nil {
		return fmt.Errorf("proxy: watching the rules: %w", err)
	}
	defer monitor.stop()
	health, err := p.sources.startHealthPorts(p.log)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer health.stop()
	var forgetting sync.WaitGroup
	forgetting.Go(func() { p.forgetter.run(ctx) })
	p.loop(ctx)
	forgetting.Wait()
	return nil
}

func (p *Proxy) loop(ctx context.Context) {
	var retry <-chan time.Time
	delay := retryFirst
	rebuild := true
	var lastRebuild time.Time
	for {
		if rebuild {
			lastRebuild = time.Now()
		}
		err := p.apply(rebuild)
		rebuild, retry = false, nil
		if err != nil {
			p.log.Error("Service rules could not be applied, trying again", "error", err, "in", delay)
			rebuild, retry = true, time.After(delay)
			delay = min(2*delay, retryLast)
		} else {
			delay = retryFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-p.disturbed:
			p.log.Warn("somebody changed the firewall table of the Service rules; rebuilding it", "table", routing.TableName)
			rebuild = true
			pause(ctx, time.Until(lastRebuild.Add(rebuildPause)))
		case <-retry:
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// apply brings the kernel up to date with all owners marked so far.
func (p *Proxy) apply(rebuild bool) error {
	var touched []routing.Frontend
	guards := p.kernel.guards
	dirty, revision := p.takeDirty()
	for o := range dirty {
		if o == allPolicies {
			guards = p.sources.guards(p.config.Gateway)
			continue
		}
		who, seen := p.sources.look(o)
		touched = append(touched, p.table.Put(who, seen.rules)...)
		if o.kind == kindService {
			p.unpublished[o.key] = seen
		}
	}
	if rebuild {
		guards = p.sources.guards(p.config.Gateway)
	}
	if !rebuild && len(touched) == 0 && guards == p.kernel.guards && len(p.unpublished) == 0 {
		return nil
	}
	var err error
	switch {
	case rebuild:
		err = p.kernel.rebuild(&p.table, guards)
	case len(touched) > 0 || guards != p.kernel.guards:
		err = p.kernel.update(&p.table, touched, guards)
	}
	if err != nil {
		return err
	}
	if rebuild {
		// The first rules may have loaded conntrack into the kernel.
		p.countPackets()
		p.forgetResets()
	}
	p.judgements.publish(p.kernel.guards)
	// First what Unrouted asks about last.
	p.forgetter.add(p.kernel.state.takeStale())
	p.offers.publish(p.kernel.state.offered, p.unpublished, revision)
	clear(p.unpublished)
	return nil
}

// mark notes that an owner may have changed.
func (p *Proxy) mark(o owner) {
	p.dirtyMu.Lock()
	p.dirty[o] = struct{}{}
	if o.kind == kindService && p.sources.isFenced(o.key) {
		// Its fence stands in the transaction that opens its addresses.
		p.dirty[allPolicies] = struct{}{}
	}
	p.dirtyMu.Unlock()
	signal(p.wake)
}

// note is called for each EndpointSlice that has changed, before mark is.
func (p *Proxy) note(revision string) {
	p.dirtyMu.Lock()
	defer p.dirtyMu.Unlock()
	if order, err := resourceversion.CompareResourceVersion(revision, p.revision); p.revision == "" || err == nil && order > 0 {
		p.revision = revision
	}
}

// takeDirty is the owners marked so far, and the revision that is in force when
// all those are.
func (p *Proxy) takeDirty() (dirty map[owner]struct{}, revision string) {
	p.dirtyMu.Lock()
	defer p.dirtyMu.Unlock()
	dirty, p.dirty = p.dirty, map[owner]struct{}{}
	return dirty, p.revision
}

func (p *Proxy) signalDisturbed() { signal(p.disturbed) }

// signal wakes the reader of a channel with room for one, if it is not about
// to be awake anyway.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
