package ingress

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Machine is what the front stands on.
type Machine interface {
	// Addresses are those that others reach this machine by.
	Addresses() ([]netip.Addr, error)
}

// Config is what a Front works with.
type Config struct {
	Client kubernetes.Interface
	// Informers may be shared with others.
	Informers informers.SharedInformerFactory
	// HTTP and HTTPS are where to listen, host:port, or ":port" for all
	// addresses; "" for not at all.
	HTTP, HTTPS string
	Machine     Machine
	// Logger is told what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

// Front serves Ingresses.
type Front struct {
	config Config
	log    *slog.Logger

	ingresses, classes, services, slices, pods cache.SharedIndexInformer

	secrets secretWatch
	pool    *pool
	doors   doors
	shown   atomic.Pointer[certificates]
	reports reports

	// unread says that Ingresses and certificates are to be read again, which
	// is too much to do whenever a Pod changes.
	unread atomic.Bool
	rules  rules

	// backends are the Services (namespace/name) that Ingresses lead to.
	backends atomic.Pointer[map[string]bool]
	wake     chan struct{}
	// begun counts the looks at Pods.
	begun atomic.Int64
}

const (
	// retryPause is how long a port that is taken is left alone.
	retryPause = time.Second
	// machineLook is how often the machine is looked at again, which tells
	// nobody when an address comes or goes.
	machineLook = 30 * time.Second
)

// New prepares a Front. Nothing happens before Run.
func New(config Config) (*Front, error) {
	factory := config.Informers
	f := &Front{
		config: config, log: cmp.Or(config.Logger, slog.Default()), pool: newPool(), wake: make(chan struct{}, 1),
		ingresses: factory.Networking().V1().Ingresses().Informer(), classes: factory.Networking().V1().IngressClasses().Informer(),
		services: factory.Core().V1().Services().Informer(), slices: factory.Discovery().V1().EndpointSlices().Informer(),
		pods: factory.Core().V1().Pods().Informer(),
	}
	if err := f.slices.AddIndexers(cache.Indexers{byService: indexByService}); err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	if err := f.pods.AddIndexers(cache.Indexers{byHostPort: indexByHostPort}); err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	f.secrets = secretWatch{client: config.Client, changed: f.readAgain}
	f.shown.Store(&certificates{})
	f.reports = reports{client: config.Client, log: f.log, news: make(chan struct{}, 1)}
	f.doors = doors{handler: newHandler(f.pool, f.log), log: f.log, certificates: f.certificate}
	for _, d := range []door{{address: config.HTTP}, {address: config.HTTPS, secure: true}} {
		if d.address != "" {
			f.doors.all = append(f.doors.all, &d)
		}
	}
	return f, nil
}

func (f *Front) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.shown.Load().find(hello.ServerName)
}

// Run serves until ctx ends, and then waits for what is under way.
func (f *Front) Run(ctx context.Context) error {
	registrations, err := f.subscribe()
	if err != nil {
		return fmt.Errorf("ingress: %w", err)
	}
	var synced []cache.InformerSynced
	for informer, registration := range registrations {
		defer informer.RemoveEventHandler(registration)
		synced = append(synced, registration.HasSynced)
	}
	f.config.Informers.Start(ctx.Done())
	var reporting sync.WaitGroup
	defer reporting.Wait()
	reporting.Go(func() { f.reports.run(ctx) })
	defer f.doors.closing.Wait()
	defer f.doors.shutAll()
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	f.unread.Store(true)
	var next time.Time
	for {
		if f.unread.Swap(false) {
			next = f.refresh(ctx)
		} else {
			f.pass()
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-timer:
			f.unread.Store(true)
		}
	}
}

// pass looks at the Pods behind every Backend. Whoever saw a number of passes
// begin knows that the next one sees what the caches had then.
func (f *Front) pass() {
	number := f.begun.Add(1)
	f.pool.replace(f.serve(), number)
}

// refresh brings everything in line with what the API says, and returns when
// to do so again without being told, zero for never.
func (f *Front) refresh(ctx context.Context) (next time.Time) {
	f.read(ctx)
	f.pass()
	if len(f.rules.ours) == 0 {
		f.doors.shutAll()
		f.reports.tell(account{})
		return time.Time{}
	}
	now := account{ours: f.rules.ours, problems: slices.Clone(f.rules.problems)}
	next = time.Now().Add(machineLook)
	err := f.doors.open(f.holder)
	if err == nil {
		now.addresses, err = f.addresses()
	}
	if err != nil {
		next = time.Now().Add(retryPause)
		for _, ingress := range f.rules.ours {
			now.problems = append(now.problems, Problem{Ingress: ingress, Reason: "NotListening", Message: err.Error()})
		}
	}
	f.reports.tell(now)
	return next
}
