package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// makeNode makes a ready node of one CPU that no agent runs.
func makeNode(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	node, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{corev1.LabelHostname: name},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourcePods: resource.MustParse("10")}
	node.Status.Capacity = node.Status.Allocatable
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func makePod(t *testing.T, client kubernetes.Interface, name, cpu string, change func(*corev1.Pod)) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "web:v1", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
		}}}},
	}
	if change != nil {
		change(pod)
	}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// placed waits until a Pod is on a node, or says why it is on none.
func placed(t *testing.T, client kubernetes.Interface, name, node, reason, message string) {
	t.Helper()
	eventually(t, func() error {
		pod, err := client.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		said := corev1.PodCondition{}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
				said = condition
			}
		}
		if pod.Spec.NodeName != node || said.Reason != reason || said.Message != message {
			return fmt.Errorf("%s is on %q, says %s: %s", name, pod.Spec.NodeName, said.Reason, said.Message)
		}
		return nil
	})
}

func TestAWaitingPodTakesTheRoomOfOneThatGoes(t *testing.T) {
	client := withControllers(t, nil)
	makePod(t, client, "first", "600m", nil)
	placed(t, client, "first", "", "Unschedulable", "no nodes available to schedule pods")
	makeNode(t, client, "a")
	placed(t, client, "first", "a", "", "")
	makePod(t, client, "second", "600m", nil)
	placed(t, client, "second", "", "Unschedulable",
		"0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.")
	now := int64(0)
	if err := client.CoreV1().Pods("default").Delete(t.Context(), "first", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	placed(t, client, "second", "a", "", "")
}

func TestAGatedPodWaitsForItsGates(t *testing.T) {
	client := withControllers(t, nil)
	makeNode(t, client, "a")
	makePod(t, client, "gated", "1m", func(pod *corev1.Pod) {
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/hold"}}
	})
	makePod(t, client, "free", "1m", nil)
	placed(t, client, "free", "a", "", "")
	placed(t, client, "gated", "", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
	patch := []byte(`[{"op":"remove","path":"/spec/schedulingGates"}]`)
	if _, err := client.CoreV1().Pods("default").Patch(t.Context(), "gated", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	placed(t, client, "gated", "a", "", "")
}

func TestAPodWaitsForItsNeighbour(t *testing.T) {
	client := withControllers(t, nil)
	makeNode(t, client, "a")
	makePod(t, client, "web", "1m", func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}},
		}}}}
	})
	placed(t, client, "web", "", "Unschedulable",
		"0/1 nodes are available: 1 node(s) didn't match pod affinity rules. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.")
	makePod(t, client, "cache", "1m", nil)
	placed(t, client, "web", "a", "", "")
}
