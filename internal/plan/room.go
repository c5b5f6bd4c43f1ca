package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/placement"
)

// rooms are the nodes with what is on them.
type rooms struct {
	// known is false if the nodes may not be seen.
	known      bool
	nodes      []*corev1.Node
	used       map[string]*placement.Used
	placed     map[types.UID]placement.Placed
	namespaces map[string]labels.Set
	// guarding is how many Pods keep others away by their rules.
	guarding int
}

// unknownNode is where Pods go if the nodes may not be seen.
const unknownNode = "unknown"

func newRooms(in Input) *rooms {
	r := &rooms{
		known: in.Nodes != nil, nodes: in.Nodes, namespaces: in.Namespaces,
		used: map[string]*placement.Used{}, placed: map[types.UID]placement.Placed{},
	}
	for _, p := range in.Pods {
		if p.Spec.NodeName != "" && !hasEnded(p) {
			r.count(placement.Placed{Pod: p, Node: p.Spec.NodeName}, 1)
		}
	}
	return r
}

// choose places a Pod, or says why no node has room.
func (r *rooms) choose(p *corev1.Pod) (node, message string) {
	if !r.known {
		return unknownNode, ""
	}
	decision := placement.Decide(r.snapshot(p))
	if decision.Node != "" {
		r.count(placement.Placed{Pod: p, Node: decision.Node}, 1)
	}
	return decision.Node, decision.Message
}

// snapshot lists the placed Pods only where somebody's rules speak of them.
func (r *rooms) snapshot(p *corev1.Pod) placement.Snapshot {
	s := placement.Snapshot{Pod: p, Namespaces: r.namespaces}
	for _, node := range r.nodes {
		n := placement.Node{Node: node}
		if used := r.used[node.Name]; used != nil {
			n.Used = *used
		}
		s.Nodes = append(s.Nodes, n)
	}
	if r.guarding > 0 || placement.NeedsPlaced(p) {
		for _, on := range r.placed {
			s.Placed = append(s.Placed, on)
		}
	}
	return s
}

// free gives the room of a Pod back that is gone.
func (r *rooms) free(p *corev1.Pod) {
	if on, found := r.placed[p.UID]; found {
		r.count(on, -1)
	}
}

func (r *rooms) count(on placement.Placed, sign int64) {
	used := r.used[on.Node]
	if used == nil {
		used = &placement.Used{}
		r.used[on.Node] = used
	}
	used.Add(on.Pod, sign)
	if placement.Guards(on.Pod) {
		r.guarding += int(sign)
	}
	if sign > 0 {
		r.placed[on.Pod.UID] = on
	} else {
		delete(r.placed, on.Pod.UID)
	}
}
