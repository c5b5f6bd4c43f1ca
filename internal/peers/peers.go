package peers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// RevisionAnnotation of a proxy's Lease is the resourceVersion up to which its
// rules follow the EndpointSlices.
const RevisionAnnotation = "coxswain.dev/endpointslices-in-force"

// proxyLabel is on the Leases of all proxies.
const proxyLabel = "coxswain.dev/proxy"

// Config is what Peers work with.
type Config struct {
	Client kubernetes.Interface
	// Informers may be shared with others.
	Informers informers.SharedInformerFactory
	// NodeName is this machine's Node.
	NodeName string
	// InForce is the revision up to which this machine's rules follow the
	// EndpointSlices, empty before there are rules, and is closed when that
	// has changed.
	InForce func() (revision string, changed <-chan struct{})
	// Followers are others on this machine who lead connections by the same
	// EndpointSlices: each returns when it has seen what is in force.
	Followers []func(context.Context) error
	// Logger is told about what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

// Peers are the proxies of other machines.
type Peers struct {
	config Config
	log    *slog.Logger
	nodes  cache.SharedIndexInformer
	own    informers.SharedInformerFactory
	leases cache.SharedIndexInformer

	mu sync.Mutex
	// changed is closed and replaced when a Node or a Lease has changed.
	changed chan struct{}
}

// New prepares Peers. Nothing happens before Run.
func New(config Config) (*Peers, error) {
	own := informers.NewSharedInformerFactoryWithOptions(config.Client, 0, informers.WithNamespace(metav1.NamespaceSystem),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = proxyLabel }))
	p := &Peers{
		config: config, log: cmp.Or(config.Logger, slog.Default()), changed: make(chan struct{}),
		nodes: config.Informers.Core().V1().Nodes().Informer(), own: own, leases: own.Coordination().V1().Leases().Informer(),
	}
	for _, informer := range []cache.SharedIndexInformer{p.nodes, p.leases} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { p.tell() },
			UpdateFunc: func(any, any) { p.tell() },
			DeleteFunc: func(any) { p.tell() },
		}); err != nil {
			return nil, fmt.Errorf("peers: %w", err)
		}
	}
	return p, nil
}

func (p *Peers) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Peers) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Routed returns when every peer follows the EndpointSlices as far as this
// machine does, which is when it leads to podIP too, or with ctx's error if
// that comes first. It is asked when this machine's rules lead there.
func (p *Peers) Routed(ctx context.Context, podIP netip.Addr, _ []string) error {
	return p.follow(ctx, fmt.Sprintf("lead to %s", podIP))
}

// Unrouted returns when every peer follows the EndpointSlices as far as this
// machine does, or with ctx's error if that comes first. It is asked when this
// machine's rules lead nobody to the Pod any more.
func (p *Peers) Unrouted(ctx context.Context, pod routing.Leaving) error {
	return p.follow(ctx, fmt.Sprintf("no longer lead to %s", pod.IP))
}

// Drained has nothing to wait for: connections that come by peers are seen at
// the Pod's own machine.
func (p *Peers) Drained(context.Context, routing.Leaving) error { return nil }

func (p *Peers) follow(ctx context.Context, what string) error {
	revision, _ := p.config.InForce()
	if revision == "" {
		return nil // this machine follows nothing either
	}
	for {
		changed := p.change()
		behind := p.behind(revision)
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until the proxies of nodes %s %s: %w", strings.Join(behind, ", "), what, ctx.Err())
		}
	}
}

// behind are the Ready Nodes, sorted, whose proxies do not follow the
// EndpointSlices up to a revision. A Node without a Lease has no proxy.
func (p *Peers) behind(revision string) (nodes []string) {
	for _, item := range p.leases.GetStore().List() {
		lease := item.(*coordinationv1.Lease)
		node := lease.Labels[proxyLabel]
		if node == p.config.NodeName || !p.isReady(node) {
			continue
		}
		if order, err := resourceversion.CompareResourceVersion(lease.Annotations[RevisionAnnotation], revision); err != nil || order < 0 {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

func (p *Peers) isReady(name string) bool {
	item, exists, err := p.nodes.GetStore().GetByKey(name)
	return err == nil && exists && slices.ContainsFunc(item.(*corev1.Node).Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
