package plan

import "strings"

// nodeAdvice is what helps against each reason for which nodes do not take a
// Pod. Of several, the first counts: rather what can change by itself. Where
// room is true, a Pod that goes makes room.
var nodeAdvice = []struct {
	sign, advice string
	room         bool
}{
	{"Insufficient ", "lower the Pods' requests, or free room", true},
	{"Too many pods", "lower spec.replicas, or free room", true},
	{"free ports", "leave hostPort out, since a Service leads to Pods without it", true},
	{"anti-affinity rules", "relax podAntiAffinity, or add a node", true},
	{"pod affinity rules", "correct podAffinity: no Pod that it names is there", false},
	{"topology spread", "relax topologySpreadConstraints", false},
	{"were unschedulable", "let the node take Pods again: kubectl uncordon NODE", false},
	{"untolerated taint", "take the taint away (kubectl describe nodes shows it), or tolerate it", false},
	{"node affinity/selector", "correct nodeSelector or nodeAffinity, or label a node: kubectl label node NODE KEY=VALUE", false},
	{"requested node name", "correct nodeName: kubectl get nodes lists them", false},
	{"", "see what the nodes are for: kubectl describe nodes", false},
}

// noRoom is the problem of a Pod that fits on no node.
func noRoom(message string) Problem {
	short, _, _ := strings.Cut(message, " preemption: ")
	for _, known := range nodeAdvice {
		if strings.Contains(short, known.sign) {
			return Problem{Cause: "Node", Message: short, Advice: known.advice}
		}
	}
	panic("nodeAdvice ends with what fits every message")
}

// oldOnesHelp tells whether, where this advice is given, old Pods that go make
// room for new ones.
func oldOnesHelp(advice string) bool {
	if advice == raiseQuota {
		return true
	}
	for _, known := range nodeAdvice {
		if known.room && known.advice == advice {
			return true
		}
	}
	return false
}
