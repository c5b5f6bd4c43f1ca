package plan

import (
	"strings"
	"testing"
)

// TestNodeAdvice: what is advised fits what the nodes lack, and old Pods that
// go are said to help only where they would.
func TestNodeAdvice(t *testing.T) {
	for message, want := range map[string]struct {
		advice string
		help   bool
	}{
		"0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.": {"requests", true},
		"0/1 nodes are available: 1 Too many pods.":                                              {"spec.replicas", true},
		"0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.": {"hostPort", true},
		"0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.":               {"podAntiAffinity", true},
		"0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.":   {"podAntiAffinity", true},
		"0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.":             {"requests", true},
		"0/1 nodes are available: 1 node(s) didn't match pod affinity rules.":                    {"podAffinity", false},
		"0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints.":       {"topologySpreadConstraints", false},
		"0/1 nodes are available: 1 node(s) were unschedulable.":                                 {"uncordon", false},
		"0/1 nodes are available: 1 node(s) had untolerated taint(s).":                           {"taint", false},
		"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.":          {"nodeSelector", false},
		"0/1 nodes are available: 1 node(s) didn't match the requested node name.":               {"nodeName", false},
		"0/1 nodes are available: 1 something new.":                                              {"describe nodes", false},
	} {
		p := noRoom(message)
		if !strings.Contains(p.Advice, want.advice) || oldOnesHelp(p.Advice) != want.help {
			t.Errorf("%q: advice %q, old Pods help: %t; want %q, %t", message, p.Advice, oldOnesHelp(p.Advice), want.advice, want.help)
		}
		if strings.Contains(p.Message, "preemption") || !strings.HasPrefix(message, p.Message) {
			t.Errorf("%q is cut to %q", message, p.Message)
		}
	}
}
