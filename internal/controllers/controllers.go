package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

// Config is what the controllers work with.
type Config struct {
	// Client reaches the API, without a rate limit of its own.
	Client *rest.Config
	// Informers may be shared with others, and should then drop managed fields
	// (DropManagedFields); nil makes our own from Client.
	Informers informers.SharedInformerFactory
	Logger    *slog.Logger
	// ClusterCA is the certificate (PEM) that every namespace gets in the
	// ConfigMap kube-root-ca.crt.
	ClusterCA []byte
	// ServiceCIDR is where Services get addresses; the zero Prefix is anywhere.
	ServiceCIDR netip.Prefix
	// Machine gives LoadBalancer Services their addresses; nil leaves them
	// pending. With an AddressPool each gets one of that, which the machine then
	// has too. ReservedPorts are TCP ports of the machine's own addresses that
	// none of them gets.
	Machine       Machine
	AddressPool   AddressPool
	ReservedPorts []int32
}

// base is what every controller is made from.
type base struct {
	config   Config
	client   kubernetes.Interface
	metadata metadata.Interface
	informers.SharedInformerFactory
	events record.EventBroadcaster
	log    *slog.Logger
}

// Run starts every controller and returns when ctx has ended and all are done,
// or one of them cannot begin.
func Run(ctx context.Context, config Config) error {
	b, err := newBase(ctx, config)
	if err != nil {
		return err
	}
	defer b.events.Shutdown()
	var loops []*loop
	for _, make := range []func(*base) (*loop, error){
		newDeployments, newReplicaSets, newReplicationControllers, newPlacement,
		newEndpointSlices, newEndpoints, newMirroring, newLoadBalancers, newAllocations, newNamespaceContents, newNamespaceDeletion, newQuotas,
		newAutoscalers, newDisruptions, newDisruptionTargets,
	} {
		l, err := make(b)
		if err != nil {
			return err
		}
		loops = append(loops, l)
	}
	collector, err := newGarbageCollector(b)
	if err != nil {
		return err
	}
	b.Start(ctx.Done())
	for kind, synced := range b.WaitForCacheSync(ctx.Done()) {
		if !synced && ctx.Err() == nil {
			return fmt.Errorf("reading all %s failed", kind)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range loops {
		group.Go(func() error { return l.run(ctx) })
	}
	group.Go(func() error { return collector.run(ctx) })
	err = group.Wait()
	if config.Informers == nil {
		b.Shutdown()
	}
	return err
}

func newBase(ctx context.Context, config Config) (*base, error) {
	client, err := kubernetes.NewForConfig(config.Client)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config.Client)
	if err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	b := &base{
		config: config, client: client, metadata: meta, log: config.Logger,
		SharedInformerFactory: config.Informers,
		events:                record.NewBroadcaster(record.WithContext(ctx)),
	}
	if b.SharedInformerFactory == nil {
		// Nothing is read again on a timer: what is written here is seen.
		b.SharedInformerFactory = informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(DropManagedFields))
	}
	b.events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return b, nil
}

// recorder makes events that name the controller as upstream does.
func (b *base) recorder(component string) record.EventRecorder {
	return b.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component})
}

// DropManagedFields keeps the caches small: no controller looks at them.
func DropManagedFields(obj any) (any, error) {
	if accessor, err := meta.Accessor(obj); err == nil {
		accessor.SetManagedFields(nil)
	}
	return obj, nil
}

// now is the time that snapshots carry.
func now() time.Time { return time.Now() }
