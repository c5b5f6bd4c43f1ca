package placement

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// spreadRule is one topologySpreadConstraint, counted out.
// (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/)
type spreadRule struct {
	corev1.TopologySpreadConstraint
	// matching counts the Pods in each part that has a node the Pod could use.
	matching map[domain]int
	// self is 1 if the Pod would count itself.
	self int
}

func spreadRules(s Snapshot, nodes map[string]*corev1.Node, affinity nodeaffinity.RequiredNodeAffinity) []spreadRule {
	var rules []spreadRule
	for _, constraint := range s.Pod.Spec.TopologySpreadConstraints {
		if constraint.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		rules = append(rules, newSpreadRule(s, constraint, nodes, affinity))
	}
	return rules
}

func newSpreadRule(s Snapshot, constraint corev1.TopologySpreadConstraint, nodes map[string]*corev1.Node, affinity nodeaffinity.RequiredNodeAffinity) spreadRule {
	selector := selectorOf(constraint.LabelSelector, s.Pod, constraint.MatchLabelKeys, nil)
	rule := spreadRule{TopologySpreadConstraint: constraint, matching: map[domain]int{}}
	counts := map[string]bool{}
	for name, node := range nodes {
		if part, ok := domainOf(node, constraint.TopologyKey); ok && rule.looksAt(s.Pod, node, affinity) {
			counts[name] = true
			rule.matching[part] += 0
		}
	}
	for _, placed := range s.Placed {
		if counts[placed.Node] && placed.Pod.Namespace == s.Pod.Namespace && placed.Pod.DeletionTimestamp == nil &&
			selector.Matches(labels.Set(placed.Pod.Labels)) {
			part, _ := domainOf(nodes[placed.Node], constraint.TopologyKey)
			rule.matching[part]++
		}
	}
	if selector.Matches(labels.Set(s.Pod.Labels)) {
		rule.self = 1
	}
	return rule
}

// looksAt tells whether a node counts. By default those do that the Pod's node
// affinity allows, tainted or not; and those only that have the labels of all
// constraints.
func (r spreadRule) looksAt(pod *corev1.Pod, node *corev1.Node, affinity nodeaffinity.RequiredNodeAffinity) bool {
	for _, constraint := range pod.Spec.TopologySpreadConstraints {
		if _, ok := domainOf(node, constraint.TopologyKey); !ok && constraint.WhenUnsatisfiable == corev1.DoNotSchedule {
			return false
		}
	}
	if r.NodeAffinityPolicy == nil || *r.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor {
		if match, _ := affinity.Match(node); !match {
			return false
		}
	}
	if r.NodeTaintsPolicy != nil && *r.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor {
		for _, taint := range taintsOf(node) {
			if keepsOut(taint) && !tolerates(pod, taint) {
				return false
			}
		}
	}
	return true
}

func (r spreadRule) misfit(node *corev1.Node) misfit {
	const reason = "node(s) didn't match pod topology spread constraints"
	part, ok := domainOf(node, r.TopologyKey)
	if !ok {
		return forGood(reason + " (missing required label)")
	}
	if r.matching[part]+r.self-r.least() > int(r.MaxSkew) {
		return forNow(reason)
	}
	return misfit{}
}

// least is how many Pods the emptiest part has; 0 as long as there are fewer
// parts than minDomains.
func (r spreadRule) least() int {
	if r.MinDomains != nil && len(r.matching) < int(*r.MinDomains) {
		return 0
	}
	least := -1
	for _, count := range r.matching {
		if least < 0 || count < least {
			least = count
		}
	}
	return max(0, least)
}
