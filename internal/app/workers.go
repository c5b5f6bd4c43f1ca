package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/agent"
	"coxswain.dev/cox/internal/controllers"
	"coxswain.dev/cox/internal/dns"
	"coxswain.dev/cox/internal/ingress"
	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/peers"
	"coxswain.dev/cox/internal/proxy"
)

// mastersGroup may do everything. Our own parts live in this process, where a
// narrower right would not hold anybody back.
const mastersGroup = "system:masters"

const dnsPort = 53

func (p parsed) networkConfig() network.Config {
	return network.Config{
		PodCIDR:     p.pods,
		ServiceCIDR: p.services,
		ConfDir:     filepath.Join(p.RunDir, "cni"),
		StateDir:    filepath.Join(p.RunDir, "network"),
	}
}

// startWorkers starts what works through the API: controllers, Service rules,
// names, and at last the agent. They share one cache of the objects they watch.
func (i *instance) startWorkers(ctx context.Context) error {
	ctx = i.workers.begin(ctx)
	client, err := i.clientset("system:coxswain", mastersGroup)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(controllers.DropManagedFields))
	i.spawn(ctx, &i.workers, "the controllers", func(ctx context.Context) error {
		return controllers.Run(ctx, controllers.Config{
			Client:        i.client("system:kube-controller-manager", mastersGroup),
			Informers:     shared,
			Logger:        i.log.With("part", "controllers"),
			ClusterCA:     i.api.CA(),
			ServiceCIDR:   i.services,
			Machine:       network.Machine{PodCIDR: i.pods},
			AddressPool:   i.pool,
			ReservedPorts: []int32{int32(i.port)},
		})
	})
	i.startFirewalls(ctx, client)
	router, rules, err := i.startServices(ctx, client, shared)
	if err != nil {
		return err
	}
	return i.startAgent(ctx, router, rules)
}

// startServices starts the Service rules, which keep NetworkPolicies too, and
// the DNS server.
func (i *instance) startServices(ctx context.Context, client kubernetes.Interface, shared informers.SharedInformerFactory) (agent.Router, *proxy.Proxy, error) {
	rules, err := proxy.New(proxy.Config{
		Informers: shared, NodeName: i.NodeName, PodCIDR: i.pods, ServiceCIDR: i.services, Gateway: i.gateway,
		Logger: i.log.With("part", "proxy"),
	})
	if err != nil {
		return nil, nil, err
	}
	i.spawn(ctx, &i.workers, "the Service rules", rules.Run)
	if err := dns.EnsureService(ctx, client, i.dns, i.gateway); err != nil {
		return nil, nil, err
	}
	names, err := dns.New(dns.Config{
		Informers: shared, Listen: netip.AddrPortFrom(i.gateway, dnsPort), ServiceIP: i.dns, Domain: ClusterDomain,
		PodCIDR: i.pods, ServiceCIDR: i.services, Logger: i.log.With("part", "dns"),
	})
	if err != nil {
		return nil, nil, err
	}
	i.spawn(ctx, &i.workers, "the DNS server", names.Run)
	front, err := i.startIngress(ctx, client, shared)
	if err != nil {
		return nil, nil, err
	}
	// The front drains before the rules: what it waits for are whole requests,
	// and its own connections are closed when the rules' are looked at.
	all := routers{names}
	var followers []func(context.Context) error
	if front != nil {
		all, followers = routers{front, names}, append(followers, front.Follow)
	}
	others, err := peers.New(peers.Config{
		Client: client, Informers: shared, NodeName: i.NodeName, InForce: rules.InForce, Followers: followers, Logger: i.log.With("part", "peers"),
	})
	if err != nil {
		return nil, nil, err
	}
	i.spawn(ctx, &i.workers, "the other machines' proxies", others.Run)
	return append(all, others, rules), rules, nil
}

// startIngress starts the front for Ingresses; nil if it is switched off.
func (i *instance) startIngress(ctx context.Context, client kubernetes.Interface, shared informers.SharedInformerFactory) (*ingress.Front, error) {
	if i.IngressHTTP == "" && i.IngressHTTPS == "" {
		return nil, ingress.RemoveClass(ctx, client)
	}
	if err := ingress.EnsureClass(ctx, client); err != nil {
		return nil, err
	}
	front, err := ingress.New(ingress.Config{
		Client: client, Informers: shared, HTTP: i.IngressHTTP, HTTPS: i.IngressHTTPS,
		Machine: network.Machine{PodCIDR: i.pods}, Logger: i.log.With("part", "ingress"),
	})
	if err != nil {
		return nil, err
	}
	i.spawn(ctx, &i.workers, "the Ingress front", front.Run)
	return front, nil
}

func (i *instance) startAgent(ctx context.Context, router agent.Router, rules *proxy.Proxy) error {
	client, err := i.clientset("system:node:"+i.NodeName, mastersGroup)
	if err != nil {
		return err
	}
	if i.StopAtOnce {
		router = nil
	}
	addresses, err := network.Machine{PodCIDR: i.pods}.Addresses()
	if err != nil {
		return err
	}
	node, err := agent.New(agent.Config{
		Client:          client,
		NodeName:        i.NodeName,
		NodeIP:          addresses[0].String(),
		RuntimeEndpoint: i.engine.Endpoint(),
		OwnLabels:       i.podLabels(),
		DataDir:         i.DataDir,
		LogDir:          filepath.Join(i.DataDir, "logs"),
		ClusterDNS:      i.dns,
		ClusterDomain:   ClusterDomain,
		PodCIDR:         i.pods,
		Router:          router,
		Guard:           rules,
		Connections:     rules.Connections,
		Logger:          i.log.With("part", "agent"),
	})
	if err != nil {
		return err
	}
	i.nodes.set(i.NodeName, node.Handler())
	i.spawn(ctx, &i.workers, "the agent", node.Run)
	return nil
}

// nodeDeadline bounds how long this machine's Node may take to be Ready.
const nodeDeadline = 30 * time.Second

// awaitNode waits until this machine's Node is Ready.
func (i *instance) awaitNode(ctx context.Context) error {
	done := i.progress.Step("node")
	client, err := i.clientset("system:coxswain", mastersGroup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nodeDeadline)
	defer cancel()
	watcher, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", i.NodeName).String()})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if node, ok := event.Object.(*corev1.Node); ok && event.Type != watch.Deleted && isReady(node) {
			done(i.NodeName + " is Ready")
			return nil
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("node %s did not become Ready within %v: start again with --log-level=info to see why", i.NodeName, nodeDeadline)
	}
	return context.Cause(ctx)
}

// greet is the end of a start: where everything is, and how to go on.
func (i *instance) greet() {
	i.progress.Printf("\nReady in %s. The API is at https://%s, the kubeconfig is %s", i.progress.Elapsed(), i.Listen, i.Kubeconfig)
	i.progress.Printf("Try: cox kubectl --kubeconfig=%s get nodes", i.Kubeconfig)
}
