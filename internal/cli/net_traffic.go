package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/routing"
)

// countConnections asks the nodes of all endpoints how many connections these
// have, and which of those that drain were told to stop. What cannot be found
// out stays unknown, and is said beside the output.
func (o *netOptions) countConnections(command *cobra.Command, services []netService) error {
	s, err := o.connection.open(command.ErrOrStderr())
	if err != nil {
		return err
	}
	told := s.traffic(command.Context(), nodesOf(services), command.ErrOrStderr())
	for i := range services {
		for w := range services[i].Ways {
			if of, known := told[services[i].Ways[w].node]; known {
				of.tell(services[i].Namespace, &services[i].Ways[w])
			}
		}
	}
	return nil
}

func nodesOf(services []netService) []string {
	var nodes []string
	for _, service := range services {
		for _, way := range service.Ways {
			if way.node != "" {
				nodes = append(nodes, way.node)
			}
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// traffic is what the agents of nodes tell; a node without an answer is not in
// it.
func (s *session) traffic(ctx context.Context, nodes []string, notes io.Writer) map[string]nodeTraffic {
	told := map[string]nodeTraffic{}
	for _, node := range nodes {
		var answer routing.NodeTraffic
		result := s.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix(routing.ConnectionsPath).Do(ctx)
		err := result.Error()
		if raw, _ := result.Raw(); err == nil {
			err = json.Unmarshal(raw, &answer)
		}
		if err != nil {
			fmt.Fprintf(notes, "node/%s: how many connections its Pods have is not known: %v\n", node, err)
			continue
		}
		counts := nodeTraffic{counts: map[string]int{}, stopping: answer.Stopping}
		for _, to := range answer.Open {
			counts.counts[to.Endpoint.String()+"/"+to.Protocol] = to.Count
		}
		told[node] = counts
	}
	return told
}

// nodeTraffic is what one node told.
type nodeTraffic struct {
	counts   map[string]int // by "<address>:<port>/<protocol>"
	stopping []string
}

// tell completes what is known of an endpoint.
func (n nodeTraffic) tell(namespace string, way *netWay) {
	_, protocol, _ := strings.Cut(way.Port, "/")
	count := n.counts[way.Endpoint+"/"+strings.ToLower(protocol)]
	way.Connections = &count
	if way.State == stateDraining && slices.Contains(n.stopping, namespace+"/"+way.Pod) {
		way.State = stateStopping
	}
}

// connectionsText is the cell of the table.
func (w netWay) connectionsText() string {
	switch {
	case w.Connections != nil:
		return fmt.Sprint(*w.Connections)
	case w.Endpoint == noEndpoint:
		return ""
	}
	return "?"
}
