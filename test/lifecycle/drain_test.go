package lifecycle

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/test/harness"
)

// kubectl drain asks the disruption budget, waits while it refuses, and ends
// when it lets the last Pod go. Where the only node is cordoned, nothing takes
// the place of what was evicted: it waits until somebody uncordons it.
func TestADrainWaitsForTheDisruptionBudget(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "3")
	instance.Kubectl("create", "pdb", "http-go", "--selector=app=http-go", "--min-available=2")
	allowed := func(want string) func() bool {
		return func() bool {
			return instance.Kubectl("get", "pdb", "http-go", "-o", "jsonpath={.status.disruptionsAllowed} of {.status.expectedPods}") == want
		}
	}
	eventually(t, "one Pod may go", allowed("1 of 3"))
	node := instance.Kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	before := pods(t, instance)

	const refused = "Cannot evict pod as it would violate the pod's disruption budget."
	short := instance.Try("drain", node, "--timeout=15s")
	if short.Code == 0 || !strings.Contains(short.Stderr, refused) || !strings.Contains(short.Stderr, "global timeout reached: 15s") {
		t.Fatalf("the drain of a node whose Pods have to stay ended with %d:\n%s%s", short.Code, short.Stdout, short.Stderr)
	}
	if left := remaining(t, instance, before); left != 2 {
		t.Fatalf("%d of its Pods are left, 2 have to be", left)
	}

	instance.Kubectl("uncordon", node)
	eventually(t, "all are there again", allowed("1 of 3"))
	before = pods(t, instance)
	drained := make(chan harness.Result, 1)
	go func() { drained <- instance.Try("drain", node, "--timeout=150s") }()
	eventually(t, "the drain has begun", func() bool { return remaining(t, instance, before) < 3 })
	instance.Kubectl("uncordon", node)
	result := <-drained
	if result.Code != 0 || !strings.Contains(result.Stdout, "node/"+node+" drained") || !strings.Contains(result.Stderr, refused) {
		t.Errorf("the drain ended with %d:\n%s%s", result.Code, result.Stdout, result.Stderr)
	}
	if left := remaining(t, instance, before); left != 0 {
		t.Errorf("%d of the Pods are left", left)
	}
}

// remaining counts the Pods of before that are still there and are to stay.
func remaining(t *testing.T, instance *harness.Instance, before map[string]corev1.Pod) (count int) {
	t.Helper()
	for name := range pods(t, instance) {
		if _, was := before[name]; was {
			count++
		}
	}
	return count
}
