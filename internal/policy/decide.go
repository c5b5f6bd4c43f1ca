package policy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Snapshot is all that Decide sees. It changes nothing in it.
type Snapshot struct {
	// Node is whose Pods are decided about.
	Node       string
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	Policies   []*networkingv1.NetworkPolicy
}

// Isolation is what a Pod may do.
type Isolation struct {
	// Ingress and Egress have what is allowed, if Isolated says that nothing
	// else is.
	IngressIsolated, EgressIsolated bool
	Ingress, Egress                 []Allow
}

// Allow lets connections through that fit both fields.
type Allow struct {
	// Peers are disjoint and sorted; All lets everybody through.
	Peers []Range
	All   bool
	// Ports are those of the Pod that is connected to; none means all, of
	// every protocol.
	Ports []Port
}

// Port is a range of ports of a protocol.
type Port struct {
	Protocol    corev1.Protocol
	First, Last uint16
}

// Decide tells what the Pods of this node may do, by their addresses. A Pod
// that no policy selects is in the answer too: it is known.
func Decide(s Snapshot) map[netip.Addr]Isolation {
	w := newWorld(s)
	decided := map[netip.Addr]Isolation{}
	for _, pod := range w.pods {
		if pod.Spec.NodeName == s.Node {
			decided[pod.addr] = w.isolation(pod)
		}
	}
	return decided
}

// world is a Snapshot with what is asked for often.
type world struct {
	pods       []networked
	namespaces map[string]labels.Set
	policies   map[string][]selecting
	// found and merged have what rules mean, which is the same for every Pod
	// that their policy selects.
	found  map[*networkingv1.NetworkPolicyPeer][]networked
	merged map[*networkingv1.NetworkPolicyIngressRule][]Range
}

// selecting is a policy with its selector, read once.
type selecting struct {
	*networkingv1.NetworkPolicy
	selector labels.Selector
}

// networked is a Pod with an address of its own.
type networked struct {
	*corev1.Pod
	addr netip.Addr
}

func newWorld(s Snapshot) *world {
	w := &world{
		namespaces: map[string]labels.Set{}, policies: map[string][]selecting{},
		found: map[*networkingv1.NetworkPolicyPeer][]networked{}, merged: map[*networkingv1.NetworkPolicyIngressRule][]Range{},
	}
	for _, pod := range s.Pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if err == nil && addr.Is4() && !pod.Spec.HostNetwork && !ended {
			w.pods = append(w.pods, networked{pod, addr})
		}
	}
	for _, namespace := range s.Namespaces {
		w.namespaces[namespace.Name] = namespace.Labels
	}
	for _, policy := range s.Policies {
		w.policies[policy.Namespace] = append(w.policies[policy.Namespace], selecting{policy, read(&policy.Spec.PodSelector)})
	}
	return w
}

func (w *world) isolation(pod networked) Isolation {
	var isolation Isolation
	for _, policy := range w.policies[pod.Namespace] {
		if !policy.selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if has(policy.NetworkPolicy, networkingv1.PolicyTypeIngress) {
			isolation.IngressIsolated = true
			for i := range policy.Spec.Ingress {
				isolation.Ingress = append(isolation.Ingress, w.ingress(pod, policy.Namespace, &policy.Spec.Ingress[i])...)
			}
		}
		if has(policy.NetworkPolicy, networkingv1.PolicyTypeEgress) {
			isolation.EgressIsolated = true
			for i := range policy.Spec.Egress {
				isolation.Egress = append(isolation.Egress, w.egress(policy.Namespace, &policy.Spec.Egress[i])...)
			}
		}
	}
	itself := Allow{Peers: []Range{{pod.addr, pod.addr}}}
	if isolation.IngressIsolated {
		isolation.Ingress = tidy(append(isolation.Ingress, itself))
	}
	if isolation.EgressIsolated {
		isolation.Egress = tidy(append(isolation.Egress, itself))
	}
	return isolation
}

// has tells whether a policy is about a direction. Without policyTypes it is
// about ingress, and about egress if it has rules for that.
func has(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if types := policy.Spec.PolicyTypes; len(types) > 0 {
		return slices.Contains(types, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(policy.Spec.Egress) > 0
}

// read is a selector to match labels with. One that cannot be read, which no
// API stores, matches nothing.
func read(selector *metav1.LabelSelector) labels.Selector {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return labels.Nothing()
	}
	return parsed
}

// ingress is what one rule lets through to a Pod. Named ports are the Pod's.
func (w *world) ingress(pod networked, namespace string, rule *networkingv1.NetworkPolicyIngressRule) []Allow {
	ports, some := portsOf(rule.Ports, pod.Pod)
	if len(rule.Ports) > 0 && !some {
		return nil // the Pod has none of the named ports
	}
	if len(rule.From) == 0 {
		return []Allow{{All: true, Ports: ports}}
	}
	return []Allow{{Peers: w.from(namespace, rule), Ports: ports}}
}

// from is whom a rule with peers means.
func (w *world) from(namespace string, rule *networkingv1.NetworkPolicyIngressRule) []Range {
	if merged, known := w.merged[rule]; known {
		return merged
	}
	var peers []Range
	for i := range rule.From {
		peers = append(peers, blockOf(&rule.From[i])...)
		for _, peer := range w.peers(namespace, &rule.From[i]) {
			peers = append(peers, Range{peer.addr, peer.addr})
		}
	}
	w.merged[rule] = merge(peers)
	return w.merged[rule]
}

// egress is what one rule lets Pods connect to. Named ports are each peer's.
func (w *world) egress(namespace string, rule *networkingv1.NetworkPolicyEgressRule) []Allow {
	fixed, some := portsOf(rule.Ports, nil)
	byNumber := len(rule.Ports) == 0 || some
	if len(rule.To) == 0 {
		var allows []Allow
		if byNumber {
			allows = append(allows, Allow{All: true, Ports: fixed})
		}
		if hasNames(rule.Ports) {
			allows = append(allows, w.byName(w.pods, rule.Ports)...)
		}
		return allows
	}
	var blocks []Range
	var peers []networked
	for i := range rule.To {
		blocks = append(blocks, blockOf(&rule.To[i])...)
		peers = append(peers, w.peers(namespace, &rule.To[i])...)
	}
	if hasNames(rule.Ports) {
		allows := w.byName(peers, rule.Ports)
		if byNumber && len(blocks) > 0 {
			allows = append(allows, Allow{Peers: merge(blocks), Ports: fixed})
		}
		return allows
	}
	for _, peer := range peers {
		blocks = append(blocks, Range{peer.addr, peer.addr})
	}
	return []Allow{{Peers: merge(blocks), Ports: fixed}}
}

// byName resolves named ports at every peer.
func (w *world) byName(peers []networked, ports []networkingv1.NetworkPolicyPort) []Allow {
	var allows []Allow
	for _, peer := range peers {
		if resolved, some := portsOf(ports, peer.Pod); some {
			allows = append(allows, Allow{Peers: []Range{{peer.addr, peer.addr}}, Ports: resolved})
		}
	}
	return allows
}

// peers are the Pods that a rule means.
func (w *world) peers(namespace string, peer *networkingv1.NetworkPolicyPeer) []networked {
	if peer.PodSelector == nil && peer.NamespaceSelector == nil {
		return nil
	}
	if found, known := w.found[peer]; known {
		return found
	}
	namespaces, pods := labels.Nothing(), labels.Everything()
	if peer.NamespaceSelector != nil {
		namespaces = read(peer.NamespaceSelector)
	}
	if peer.PodSelector != nil {
		pods = read(peer.PodSelector)
	}
	var found []networked
	for _, pod := range w.pods {
		inNamespace := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			set, known := w.namespaces[pod.Namespace]
			inNamespace = known && namespaces.Matches(set)
		}
		if inNamespace && pods.Matches(labels.Set(pod.Labels)) {
			found = append(found, pod)
		}
	}
	w.found[peer] = found
	return found
}
