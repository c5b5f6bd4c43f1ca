package app

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// nodeHandlers leads the API server to the agent of this machine. The agent
// starts after the API, so that the handler is set later.
type nodeHandlers struct {
	local atomic.Pointer[localNode]
}

type localNode struct {
	name    string
	handler http.Handler
}

// set makes handler answer for the node.
func (n *nodeHandlers) set(name string, handler http.Handler) {
	n.local.Store(&localNode{name, handler})
}

// Node implements apiserver.NodeDialer.
func (n *nodeHandlers) Node(name string) (http.Handler, error) {
	local := n.local.Load()
	if local == nil || local.name != name {
		return nil, fmt.Errorf("no agent serves node %q", name)
	}
	return local.handler, nil
}
