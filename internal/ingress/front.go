package ingress

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
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

	// on is true while there are Ingresses to serve.
	on   atomic.Bool
	wake chan struct{}
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
	f.reports = reports{client: config.Client, log: f.log}
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
	var synced []cache.InformerSynced
	for _, source := range []struct {
		informer cache.SharedIndexInformer
		changed  func()
	}{{f.ingresses, f.readAgain}, {f.classes, f.readAgain}, {f.services, f.lookIfOn}, {f.slices, f.lookIfOn}} {
		tell := func(any) { source.changed() }
		registration, err := source.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell, UpdateFunc: func(_, now any) { tell(now) }, DeleteFunc: tell,
		})
		if err != nil {
			return fmt.Errorf("ingress: %w", err)
		}
		defer source.informer.RemoveEventHandler(registration)
		synced = append(synced, registration.HasSynced)
	}
	f.config.Informers.Start(ctx.Done())
	defer f.reports.close()
	defer f.doors.closing.Wait()
	defer f.doors.shutAll()
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	f.unread.Store(true)
	for {
		pause := f.update(ctx)
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-timer:
			f.unread.Store(true) // one may be out of date by now
		}
	}
}

// look makes Run look again.
func (f *Front) look() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Front) lookIfOn() {
	if f.on.Load() {
		f.look()
	}
}

func (f *Front) readAgain() {
	f.unread.Store(true)
	f.look()
}

// update brings everything in line with what the API says, and returns when to
// look again without being told, 0 for never.
func (f *Front) update(ctx context.Context) time.Duration {
	if f.unread.Swap(false) {
		f.read(ctx)
	}
	if len(f.rules.ours) == 0 {
		f.doors.shutAll()
		f.pool.replace(served{})
		f.reports.update(ctx, nil, nil, nil)
		return 0
	}
	f.pool.replace(f.serve(f.rules.table))
	problems := slices.Clone(f.rules.problems)
	pause, addresses := machineLook, []netip.Addr(nil)
	err := f.doors.open(f.holder)
	if err == nil {
		addresses, err = f.addresses()
	}
	if err != nil {
		pause = retryPause
		for _, ingress := range f.rules.ours {
			problems = append(problems, Problem{Ingress: ingress, Reason: "NotListening", Message: err.Error()})
		}
	}
	if !f.reports.update(ctx, f.rules.ours, addresses, problems) {
		pause = retryPause
	}
	return pause
}
