package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	internalapi "k8s.io/cri-api/pkg/apis"
	remote "k8s.io/cri-client/pkg"

	"coxswain.dev/cox/internal/agent/cgroups"
	"coxswain.dev/cox/internal/agent/images"
	"coxswain.dev/cox/internal/agent/objects"
	"coxswain.dev/cox/internal/agent/volumes"
	"coxswain.dev/cox/internal/routing"
)

// Version is the kubelet version that the node reports.
const Version = "v1.37.2+cox"

// Config says which node the agent runs and what it works with.
type Config struct {
	Client           kubernetes.Interface
	NodeName, NodeIP string
	// RuntimeEndpoint is the CRI socket, unix:///….
	RuntimeEndpoint string
	// OwnLabels are written on every sandbox. One without them is somebody
	// else's, on a runtime that is shared.
	OwnLabels map[string]string
	// DataDir holds volumes, below DataDir/pods, and LogDir the logs of
	// containers, below LogDir/pods. Both are absolute.
	DataDir, LogDir string
	// ClusterDNS is the name server of Pods that use the cluster's names.
	ClusterDNS    netip.Addr
	ClusterDomain string
	PodCIDR       netip.Prefix
	// Informers may share its watch of Services; nil makes one of our own.
	Informers informers.SharedInformerFactory
	// Router is asked before a Pod is stopped; nil if nothing routes to Pods.
	Router Router
	// Guard is asked before a container is started; nil if nobody keeps
	// NetworkPolicies.
	Guard Guard
	// Connections are the open connections of Pods; nil if nobody counts them.
	Connections func() ([]routing.Connections, error)
	Logger      *slog.Logger
}

// Router leads connections to Pods.
type Router interface {
	// Routed returns when every one of the Services (namespace/name) leads new
	// connections to the address.
	Routed(ctx context.Context, podIP netip.Addr, services []string) error
	// Unrouted returns when no new connection is led to the Pod any more, and
	// none will be.
	Unrouted(ctx context.Context, pod routing.Leaving) error
	// Drained returns when the connections that the Pod has are closed, or
	// idle.
	Drained(ctx context.Context, pod routing.Leaving) error
}

// Guard keeps NetworkPolicies.
type Guard interface {
	// Judged returns when connections of the Pod with this address are let
	// through as NetworkPolicies say. Before that they may all be shut.
	Judged(ctx context.Context, podIP netip.Addr) error
}

// Agent runs the Pods of a node.
type Agent struct {
	config  Config
	log     *slog.Logger
	runtime internalapi.RuntimeService
	store   internalapi.ImageManagerService
	images  *images.Puller
	objects *objects.Cache
	volumes *volumes.Host
	cgroups cgroups.Tree
	node    machine
	files   machineFiles
	meter   *meter

	events      record.EventRecorder
	broadcaster record.EventBroadcaster
	informers   informers.SharedInformerFactory
	services    corelisters.ServiceLister

	mu      sync.Mutex // guards what follows
	workers map[types.UID]*worker
	byName  map[string]types.UID // namespace/name of the newest Pod of that name
	running sync.WaitGroup
}

// requestTimeout bounds a call to the runtime; those that wait for a container
// to stop get its grace period on top.
const requestTimeout = 2 * time.Minute

// New connects to the runtime. The agent does nothing before Run.
func New(config Config) (*Agent, error) {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	runtime, err := remote.NewRemoteRuntimeServiceBuilder().WithEndpoint(config.RuntimeEndpoint).
		WithConnectionTimeout(requestTimeout).WithTracerProvider(nil).Build(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the container runtime at %s: %w", config.RuntimeEndpoint, err)
	}
	store, err := remote.NewRemoteImageServiceBuilder().WithEndpoint(config.RuntimeEndpoint).
		WithConnectionTimeout(requestTimeout).WithTracerProvider(nil).Build(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the container runtime at %s: %w", config.RuntimeEndpoint, err)
	}
	return newAgent(config, runtime, store)
}

func newAgent(config Config, runtime internalapi.RuntimeService, store internalapi.ImageManagerService) (*Agent, error) {
	node, err := examineMachine(config.DataDir)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		config:  config,
		log:     config.Logger,
		runtime: runtime,
		store:   store,
		objects: objects.New(config.Client),
		cgroups: cgroups.Tree{Root: cgroupRoot(config.DataDir)},
		node:    node,
		files:   kernelFiles,
		workers: map[types.UID]*worker{},
		byName:  map[string]types.UID{},
	}
	if a.informers = config.Informers; a.informers == nil {
		a.informers = informers.NewSharedInformerFactory(config.Client, 0)
	}
	a.services = a.informers.Core().V1().Services().Lister()
	a.images = images.New(store, a.objects)
	a.meter = newMeter(a.sampleUsage)
	a.volumes = &volumes.Host{Root: filepath.Join(config.DataDir, "pods"), Source: source{a.objects, config.Client}, Node: node.capacity}
	for _, dir := range []string{a.volumes.Root, filepath.Join(config.LogDir, "pods")} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("making the agent's directories: %w", err)
		}
	}
	a.startEvents()
	return a, nil
}

// cgroupRoot keeps instances with data directories of their own apart.
func cgroupRoot(dataDir string) string {
	hash := fnv.New32a()
	hash.Write([]byte(dataDir))
	return fmt.Sprintf("/coxswain/pods-%08x", hash.Sum32())
}

// emptyDeadline is how long the last process of a Pod that has ended may keep
// its cgroup busy.
const emptyDeadline = 2 * time.Second

// RemoveCgroups removes what Pods were put into, by an agent with this data
// directory. They must have ended.
func RemoveCgroups(ctx context.Context, dataDir string) error {
	ctx, cancel := context.WithTimeout(ctx, emptyDeadline)
	defer cancel()
	for {
		err := cgroups.Tree{Root: cgroupRoot(dataDir)}.RemoveAll()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Run registers the node and runs its Pods until ctx ends. Containers go on
// running then.
func (a *Agent) Run(ctx context.Context) error {
	defer a.broadcaster.Shutdown()
	ctx, cancel := context.WithCancel(ctx)
	defer a.running.Wait()
	defer cancel()
	if err := a.register(ctx); err != nil {
		return err
	}
	services := a.informers.Core().V1().Services().Informer()
	a.informers.Start(ctx.Done())
	if a.config.Informers == nil {
		defer a.informers.Shutdown()
	}
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), services.HasSynced) {
		return ended(ctx)
	}
	if err := a.followServices(services); err != nil {
		return err
	}
	if err := a.watchPods(ctx); err != nil {
		return err
	}
	a.running.Go(func() { a.followRuntime(ctx) })
	a.running.Go(func() { a.boundLogs(ctx) })
	<-ctx.Done()
	return nil
}

// ended is nil when the context was cancelled, which is how an agent stops.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// workerOf finds the worker of a Pod; nil if there is none.
func (a *Agent) workerOf(uid types.UID) *worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workers[uid]
}

func (a *Agent) allWorkers() []*worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*worker
	for _, w := range a.workers {
		all = append(all, w)
	}
	return all
}

// podNamed is the newest Pod of that name on this node; nil if there is none.
func (a *Agent) podNamed(namespace, name string) *corev1.Pod {
	a.mu.Lock()
	w := a.workers[a.byName[namespace+"/"+name]]
	a.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.newest()
}
