package placement

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Snapshot is everything that Decide sees. It is not changed.
type Snapshot struct {
	Pod   *corev1.Pod
	Nodes []Node
	// Placed are the Pods on the nodes. Only rules about other Pods need them
	// (see NeedsPlaced); Node.Used has what they take.
	Placed []Placed
	// Namespaces are the labels of the namespaces by name; only the
	// namespaceSelector of an affinity term needs them.
	Namespaces map[string]labels.Set
}

// Node is a node with what its Pods take.
type Node struct {
	*corev1.Node
	Used Used
}

// Placed is a Pod and where it is, which the Pod itself need not say yet.
type Placed struct {
	Pod  *corev1.Pod
	Node string
}

// Decision is a node, or why there is none.
type Decision struct {
	// Node is empty if no node fits.
	Node string
	// Message says why, as Kubernetes' scheduler does: "0/1 nodes are
	// available: 1 Insufficient cpu. preemption: …"
	Message string
}

// String is a stable text of the decision.
func (d Decision) String() string {
	if d.Node == "" {
		return "nowhere: " + d.Message + "\n"
	}
	return "on " + d.Node + "\n"
}

// Decide chooses a node. It reads nothing but its argument.
func Decide(s Snapshot) Decision {
	nodes := slices.SortedFunc(slices.Values(s.Nodes), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	s.Nodes = nodes
	filters := newFilters(s)
	var fitting []Node
	var misfits []misfit
	for _, node := range nodes {
		if misfit := filters.misfit(node); len(misfit.reasons) > 0 {
			misfits = append(misfits, misfit)
			continue
		}
		fitting = append(fitting, node)
	}
	if len(fitting) == 0 {
		return Decision{Message: explain(s.Pod, misfits)}
	}
	return Decision{Node: best(s, filters.request, fitting)}
}
