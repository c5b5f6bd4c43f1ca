package core

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"coxswain.dev/cox/internal/registry"
)

// Dependencies are what some kinds need from the server that serves them.
type Dependencies struct {
	// ServiceCIDR is the range that Service addresses are taken from; its
	// first address belongs to the Service default/kubernetes.
	ServiceCIDR netip.Prefix
	// Nodes leads to the agents; nil where there are none.
	Nodes NodeDialer
	// Authorizer decides who may open streams.
	Authorizer authorizer.Authorizer
	// EndpointSlices are those of a Service, for services/proxy.
	EndpointSlices func(ctx context.Context, namespace, service string) ([]*discoveryv1.EndpointSlice, error)
	// DialPods connects pods/proxy and services/proxy to Pods; nil dials from
	// here.
	DialPods func(ctx context.Context, network, address string) (net.Conn, error)
	// Stopping is closed when streams are to end; nil means never.
	Stopping <-chan struct{}
	// Budgets are asked before a Pod is evicted.
	Budgets Budgets
}

// NodeDialer finds the handler of a node's agent.
type NodeDialer interface {
	Node(name string) (http.Handler, error)
}

// agentOf is the handler of a node's agent, or an error that says that there is
// none now.
func agentOf(nodes NodeDialer, node string) (http.Handler, error) {
	if nodes == nil {
		return nil, apierrors.NewServiceUnavailable("no agent runs on node " + node)
	}
	agent, err := nodes.Node(node)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(err.Error())
	}
	return agent, nil
}

// Kinds returns every resource of the group.
func Kinds(deps Dependencies) []registry.Builder {
	services, pods := &storedServices{}, &storedPods{}
	return []registry.Builder{
		namespace(), node(deps.Nodes), pod(deps, services, pods), podTemplate(), replicationController(),
		service(deps, services, pods), endpoints(), configMap(), secret(), serviceAccount(),
		Event(), resourceQuota(), limitRange(),
	}
}
