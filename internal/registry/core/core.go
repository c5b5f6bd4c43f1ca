package core

import (
	"net/http"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"coxswain.dev/cox/internal/registry"
)

// Dependencies are what some kinds need from the server that serves them.
type Dependencies struct {
	// ServiceCIDR is the range that Service addresses are taken from; its
	// first address belongs to the Service default/kubernetes.
	ServiceCIDR netip.Prefix
	// Nodes leads to the agents; nil where there are none.
	Nodes NodeDialer
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
	services := &storedServices{}
	return []registry.Builder{
		namespace(), node(deps.Nodes), pod(deps, services), podTemplate(), replicationController(),
		service(deps.ServiceCIDR, services), endpoints(), configMap(), secret(), serviceAccount(),
		Event(), resourceQuota(), limitRange(),
	}
}
