package placement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	componentresource "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// podsWeight lets the number of Pods decide only between equal scores.
const podsWeight = 1 << 20

// Snapshot is everything that Decide sees. It is not changed.
type Snapshot struct {
	Pod   *corev1.Pod
	Nodes []Node
}

// Node is a node with what its Pods take.
type Node struct {
	*corev1.Node
	Used Used
}

// Used is what the Pods of a node take. The zero value is an empty node.
type Used struct {
	MilliCPU, Memory, EphemeralStorage int64
	Other                              map[corev1.ResourceName]int64
	Pods                               int64
	HostPorts                          map[HostPort]int
}

// HostPort is a port of the node itself.
type HostPort struct {
	IP       string
	Protocol corev1.Protocol
	Port     int32
}

// Decision is a node, or why there is none.
type Decision struct {
	// Node is empty if no node fits.
	Node string
	// Message says why, as Kubernetes' scheduler does: "0/1 nodes are
	// available: 1 Insufficient cpu."
	Message string
}

// Decide chooses a node. It reads nothing but its argument.
func Decide(s Snapshot) Decision {
	request := requestOf(s.Pod)
	affinity := nodeaffinity.GetRequiredNodeAffinity(s.Pod)
	reasons := map[string]int{}
	best, bestScore := "", int64(0)
	for _, node := range slices.SortedFunc(slices.Values(s.Nodes), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) }) {
		if why := misfits(s.Pod, node, request, affinity); len(why) > 0 {
			for _, reason := range why {
				reasons[reason]++
			}
			continue
		}
		// Of equal ones, the node with fewer Pods: most Pods ask for nothing.
		if score := score(node, request)*podsWeight - node.Used.Pods; best == "" || score > bestScore {
			best, bestScore = node.Name, score
		}
	}
	if best != "" {
		return Decision{Node: best}
	}
	return Decision{Message: explain(len(s.Nodes), reasons)}
}

// explain counts the nodes by what is wrong with them.
func explain(nodes int, reasons map[string]int) string {
	if nodes == 0 {
		return "no nodes available to schedule pods"
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%d %s", reasons[reason], reason))
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}

// misfits lists what keeps a Pod from a node; empty if nothing does.
func misfits(pod *corev1.Pod, node Node, request Used, affinity nodeaffinity.RequiredNodeAffinity) []string {
	if pod.Spec.NodeName != "" && pod.Spec.NodeName != node.Name {
		return []string{"node(s) didn't match the requested node name"}
	}
	if node.Spec.Unschedulable && !tolerates(pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return []string{"node(s) were unschedulable"}
	}
	if !isReady(node.Node) {
		return []string{fmt.Sprintf("node(s) had untolerated taint {%s: }", corev1.TaintNodeNotReady)}
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, taint) {
			return []string{fmt.Sprintf("node(s) had untolerated taint {%s: %s}", taint.Key, taint.Value)}
		}
	}
	if match, err := affinity.Match(node.Node); err != nil || !match {
		return []string{"node(s) didn't match Pod's node affinity/selector"}
	}
	for port := range request.HostPorts {
		if conflicts(port, node.Used.HostPorts) {
			return []string{"node(s) didn't have free ports for the requested pod ports"}
		}
	}
	return lacking(node, request)
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	for _, t := range pod.Spec.Tolerations {
		sameEffect := t.Effect == "" || t.Effect == taint.Effect
		sameKey := t.Key == "" || t.Key == taint.Key
		sameValue := t.Operator == corev1.TolerationOpExists || t.Value == taint.Value
		if sameEffect && sameKey && sameValue {
			return true
		}
	}
	return false
}

func conflicts(port HostPort, taken map[HostPort]int) bool {
	for other, count := range taken {
		if count > 0 && other.Protocol == port.Protocol && other.Port == port.Port &&
			(isAny(other.IP) || isAny(port.IP) || other.IP == port.IP) {
			return true
		}
	}
	return false
}

func isAny(ip string) bool { return ip == "" || ip == "0.0.0.0" }

// lacking lists the resources of which the node has too little left.
func lacking(node Node, request Used) []string {
	var reasons []string
	allocatable := node.Status.Allocatable
	if node.Used.Pods+1 > allocatable.Pods().Value() {
		reasons = append(reasons, "Too many pods")
	}
	short := func(name corev1.ResourceName, wanted, used, capacity int64) {
		if wanted > 0 && wanted > capacity-used {
			reasons = append(reasons, "Insufficient "+string(name))
		}
	}
	short(corev1.ResourceCPU, request.MilliCPU, node.Used.MilliCPU, allocatable.Cpu().MilliValue())
	short(corev1.ResourceMemory, request.Memory, node.Used.Memory, allocatable.Memory().Value())
	short(corev1.ResourceEphemeralStorage, request.EphemeralStorage, node.Used.EphemeralStorage, allocatable.StorageEphemeral().Value())
	for _, name := range slices.Sorted(maps.Keys(request.Other)) {
		quantity := allocatable[name]
		short(name, request.Other[name], node.Used.Other[name], quantity.Value())
	}
	return reasons
}

// score is how much of CPU and memory stays free, from 0 to 200.
func score(node Node, request Used) int64 {
	free := func(used, capacity int64) int64 {
		if capacity <= 0 || used > capacity {
			return 0
		}
		return 100 * (capacity - used) / capacity
	}
	return free(node.Used.MilliCPU+request.MilliCPU, node.Status.Allocatable.Cpu().MilliValue()) +
		free(node.Used.Memory+request.Memory, node.Status.Allocatable.Memory().Value())
}

// requestOf is what one Pod takes.
func requestOf(pod *corev1.Pod) Used {
	used := Used{Pods: 1, Other: map[corev1.ResourceName]int64{}, HostPorts: map[HostPort]int{}}
	for name, quantity := range componentresource.PodRequests(pod, componentresource.PodResourcesOptions{}) {
		switch name {
		case corev1.ResourceCPU:
			used.MilliCPU = quantity.MilliValue()
		case corev1.ResourceMemory:
			used.Memory = quantity.Value()
		case corev1.ResourceEphemeralStorage:
			used.EphemeralStorage = quantity.Value()
		default:
			used.Other[name] = quantity.Value()
		}
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.HostPort > 0 {
				used.HostPorts[HostPort{port.HostIP, port.Protocol, port.HostPort}]++
			}
		}
	}
	return used
}

// Add counts a Pod in; sign is 1, or -1 to count it out again.
func (u *Used) Add(pod *corev1.Pod, sign int64) {
	request := requestOf(pod)
	u.MilliCPU += sign * request.MilliCPU
	u.Memory += sign * request.Memory
	u.EphemeralStorage += sign * request.EphemeralStorage
	u.Pods += sign
	if u.Other == nil {
		u.Other, u.HostPorts = map[corev1.ResourceName]int64{}, map[HostPort]int{}
	}
	for name, amount := range request.Other {
		u.Other[name] += sign * amount
	}
	for port := range request.HostPorts {
		u.HostPorts[port] += int(sign)
		if u.HostPorts[port] <= 0 {
			delete(u.HostPorts, port)
		}
	}
}
