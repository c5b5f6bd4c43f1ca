package agent

import (
	"encoding/json"
	"net/http"
	"slices"

	"coxswain.dev/cox/internal/routing"
)

// serveConnections answers which connections Pods have, and which Pods were
// told to stop.
func (a *Agent) serveConnections(w http.ResponseWriter, _ *http.Request) {
	if a.config.Connections == nil {
		http.Error(w, "nobody counts connections on this node", http.StatusNotFound)
		return
	}
	open, err := a.config.Connections()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(routing.NodeTraffic{Open: open, Stopping: a.stopping()})
}

// stopping are the Pods (namespace/name) that no longer wait for their
// connections, sorted.
func (a *Agent) stopping() []string {
	var names []string
	for _, w := range a.allWorkers() {
		w.mu.Lock()
		if w.unrouted {
			names = append(names, w.pod.Namespace+"/"+w.pod.Name)
		}
		w.mu.Unlock()
	}
	slices.Sort(names)
	return names
}
