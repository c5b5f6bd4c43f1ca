package placement

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// filters are the rules that a node must keep, made ready for one Pod.
type filters struct {
	pod      *corev1.Pod
	request  Used
	affinity nodeaffinity.RequiredNodeAffinity
	spread   []spreadRule
	together neighbours
}

func newFilters(s Snapshot) filters {
	f := filters{pod: s.Pod, request: requestOf(s.Pod), affinity: nodeaffinity.GetRequiredNodeAffinity(s.Pod)}
	nodes := map[string]*corev1.Node{}
	for _, node := range s.Nodes {
		nodes[node.Name] = node.Node
	}
	f.spread = spreadRules(s, nodes, f.affinity)
	f.together = newNeighbours(s, nodes)
	return f
}

// misfit is what keeps a Pod from a node: the reasons of the first rule that
// is broken, and none if all are kept.
type misfit struct {
	reasons []string
	// forGood says that no Pod that might leave the node would change it.
	forGood bool
}

func forGood(reason string) misfit    { return misfit{[]string{reason}, true} }
func forNow(reasons ...string) misfit { return misfit{reasons, false} }

// misfit looks at the rules in the order in which upstream's scheduler does.
func (f *filters) misfit(node Node) misfit {
	if node.Spec.Unschedulable && !tolerates(f.pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return forGood("node(s) were unschedulable")
	}
	if f.pod.Spec.NodeName != "" && f.pod.Spec.NodeName != node.Name {
		return forGood("node(s) didn't match the requested node name")
	}
	for _, taint := range taintsOf(node.Node) {
		if keepsOut(taint) && !tolerates(f.pod, taint) {
			return forGood("node(s) had untolerated taint(s)")
		}
	}
	if match, _ := f.affinity.Match(node.Node); !match {
		return forGood("node(s) didn't match Pod's node affinity/selector")
	}
	for port := range f.request.HostPorts {
		if node.Used.takes(port) {
			return forNow("node(s) didn't have free ports for the requested pod ports")
		}
	}
	if lacking := f.lacking(node); len(lacking.reasons) > 0 {
		return lacking
	}
	for _, rule := range f.spread {
		if misfit := rule.misfit(node.Node); len(misfit.reasons) > 0 {
			return misfit
		}
	}
	return f.together.misfit(node.Node)
}

// lacking lists the resources of which the node has too little left. They are
// missing for good if even the empty node has too little.
func (f *filters) lacking(node Node) misfit {
	var lacking misfit
	allocatable, used := node.Status.Allocatable, node.Used
	if used.Pods+1 > allocatable.Pods().Value() {
		lacking.reasons = append(lacking.reasons, "Too many pods")
	}
	short := func(name corev1.ResourceName, wanted, used, capacity int64) {
		if wanted > 0 && wanted > capacity-used {
			lacking.reasons = append(lacking.reasons, "Insufficient "+string(name))
			lacking.forGood = lacking.forGood || wanted > capacity
		}
	}
	short(corev1.ResourceCPU, f.request.MilliCPU, used.MilliCPU, allocatable.Cpu().MilliValue())
	short(corev1.ResourceMemory, f.request.Memory, used.Memory, allocatable.Memory().Value())
	short(corev1.ResourceEphemeralStorage, f.request.EphemeralStorage, used.EphemeralStorage, allocatable.StorageEphemeral().Value())
	for _, name := range slices.Sorted(maps.Keys(f.request.Other)) {
		quantity := allocatable[name]
		short(name, f.request.Other[name], used.Other[name], quantity.Value())
	}
	return lacking
}
