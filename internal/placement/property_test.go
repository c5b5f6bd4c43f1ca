package placement_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/placement"
)

// nodeSettings and podSettings are what worlds are drawn from: what Decide
// looks at, and some of what no API server would store.
var (
	nodeSettings = []string{
		"cpu=1", "cpu=0", "memory=1Gi", "pods=2", "pods=0", "example.com/gpu=1", "label:zone=x", "label:zone=y", "cordon",
		"taint=gpu=yes:NoSchedule", "taint=gpu=5:PreferNoSchedule", "taint==:Nonsense", "condition:Ready=False",
		"condition:Ready=none", "condition:DiskPressure=True",
	}
	podSettings = []string{
		"cpu=600m", "cpu=0", "cpu=9E", "memory=700Mi", "memory=-1", "example.com/gpu=1", "port=80", "port=80/UDP", "port=80/TCP/127.0.0.1",
		"label:app=web", "label:app=not a label!", "namespace=other",
	}
	podRules = []string{
		"", "  spec: {nodeSelector: {zone: x}}\n", "  spec: {nodeSelector: {'not a key!': ' '}}\n", "  spec: {tolerations: [{operator: Exists}]}\n",
		"  spec: {tolerations: [{key: gpu, operator: Gt, value: x}]}\n", "  spec: {preemptionPolicy: Never, containers: []}\n",
		"  spec: {affinity: {podAffinity: {}, podAntiAffinity: {}, nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}}}\n",
		"  spec: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Nonsense, values: [' ']}]}]}}}}\n",
		"  spec: {affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: zone, operator: Gt, values: [x]}]}}]}}}\n",
		"  spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [app]}]}}}\n",
		"  spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: web}}}]}}}\n",
		"  spec: {affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 5, podAffinityTerm: {topologyKey: zone, namespaceSelector: {}, labelSelector: {}}}]}}}\n",
		"  spec: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [app]}]}\n",
		"  spec: {topologySpreadConstraints: [{topologyKey: '', whenUnsatisfiable: ScheduleAnyway}, {whenUnsatisfiable: DoNotSchedule}]}\n",
	}
)

func drawPod(t *rapid.T, name string) *corev1.Pod {
	chosen := rapid.SliceOfN(rapid.SampledFrom(podSettings), 0, 4).Draw(t, name)
	pod, err := podOf(name, chosen, rapid.SampledFrom(podRules).Draw(t, name+" rule"))
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func drawWorld(t *rapid.T) *world {
	w := newWorld()
	for i := range rapid.IntRange(0, 4).Draw(t, "nodes") {
		name := fmt.Sprintf("node-%d", i)
		if err := w.changeNode(name, rapid.SliceOfN(rapid.SampledFrom(nodeSettings), 0, 3).Draw(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// TestPlacingManyPods places Pods one after the other, and looks after each
// that no node has more than it can bear.
func TestPlacingManyPods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for i := range rapid.IntRange(1, 12).Draw(t, "pods") {
			w.pod = drawPod(t, fmt.Sprintf("pod-%d", i))
			decision := w.decide()
			if (decision.Node == "") != (decision.Message != "") {
				t.Fatalf("neither a node nor a reason, or both: %+v", decision)
			}
			if decision.Node == "" {
				if len(w.snapshot.Nodes) > 0 && !strings.HasPrefix(decision.Message, fmt.Sprintf("0/%d nodes are available: ", len(w.snapshot.Nodes))) {
					t.Fatal(decision.Message)
				}
				continue
			}
			if err := w.place(w.pod, decision.Node); err != nil {
				t.Fatal(err)
			}
			w.mustNotBeOvercommitted(t, decision.Node)
		}
	})
}

func (w *world) mustNotBeOvercommitted(t *rapid.T, name string) {
	for _, node := range w.snapshot.Nodes {
		if node.Name != name {
			continue
		}
		can, used := node.Status.Allocatable, node.Used
		gpus := can["example.com/gpu"]
		if used.Pods > can.Pods().Value() || used.MilliCPU > can.Cpu().MilliValue() || used.Memory > can.Memory().Value() || used.Other["example.com/gpu"] > gpus.Value() {
			t.Fatalf("%s has %+v of %+v", name, used, can)
		}
		for port, count := range used.HostPorts {
			if count > 1 {
				t.Fatalf("%s has %+v %d times", name, port, count)
			}
		}
		if node.Spec.Unschedulable && len(w.pod.Spec.Tolerations) == 0 {
			t.Fatalf("%s is cordoned", name)
		}
	}
}

func TestOrderOfNodesAndPodsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for i := range rapid.IntRange(0, 5).Draw(t, "placed") {
			if len(w.snapshot.Nodes) == 0 {
				break
			}
			if err := w.place(drawPod(t, fmt.Sprintf("placed-%d", i)), fmt.Sprintf("node-%d", i%len(w.snapshot.Nodes))); err != nil {
				t.Fatal(err)
			}
		}
		w.pod = drawPod(t, "web")
		first := w.decide()
		order := rand.New(rand.NewSource(rapid.Int64().Draw(t, "order")))
		nodes, placed := w.snapshot.Nodes, w.snapshot.Placed
		order.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		order.Shuffle(len(placed), func(i, j int) { placed[i], placed[j] = placed[j], placed[i] })
		if second := w.decide(); first != second {
			t.Fatalf("shuffled, another decision: %s%s", first, second)
		}
	})
}

func TestCountingOutUndoesCountingIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var used placement.Used
		first, second := drawPod(t, "first"), drawPod(t, "second")
		used.Add(first, 1)
		before := fmt.Sprint(used)
		used.Add(second, 1)
		used.Add(second, -1)
		if after := fmt.Sprint(used); before != after {
			t.Fatalf("%s, and afterwards %s", before, after)
		}
	})
}
