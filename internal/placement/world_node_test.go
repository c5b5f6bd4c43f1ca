package placement_test

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/placement"
)

func newNode(name string) placement.Node {
	return placement.Node{Node: &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"),
				corev1.ResourcePods: resource.MustParse("110"),
			},
		},
	}}
}

// changeNode makes a node or changes one. Settings: cpu, memory, pods or any
// resource's name = how much can be used of it; label:KEY=VALUE;
// taint=KEY=VALUE:EFFECT; cordon; uncordon; condition:TYPE=STATUS, or none for
// a node that has said nothing about itself.
func (w *world) changeNode(name string, settings []string) error {
	i := slices.IndexFunc(w.snapshot.Nodes, func(n placement.Node) bool { return n.Name == name })
	if i < 0 {
		w.snapshot.Nodes = append(w.snapshot.Nodes, newNode(name))
		i = len(w.snapshot.Nodes) - 1
	}
	node := w.snapshot.Nodes[i].Node
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		label, isLabel := strings.CutPrefix(key, "label:")
		condition, isCondition := strings.CutPrefix(key, "condition:")
		switch {
		case isLabel:
			node.Labels[label] = value
		case isCondition:
			node.Status.Conditions = setCondition(node.Status.Conditions, condition, value)
		case key == "cordon", key == "uncordon":
			node.Spec.Unschedulable = key == "cordon"
		case key == "taint":
			pair, effect, _ := strings.Cut(value, ":")
			taint := corev1.Taint{Effect: corev1.TaintEffect(effect)}
			taint.Key, taint.Value, _ = strings.Cut(pair, "=")
			node.Spec.Taints = append(node.Spec.Taints, taint)
		default:
			quantity, err := resource.ParseQuantity(value)
			if err != nil {
				return err
			}
			node.Status.Allocatable[corev1.ResourceName(key)] = quantity
		}
	}
	return nil
}

func setCondition(conditions []corev1.NodeCondition, kind, status string) []corev1.NodeCondition {
	conditions = slices.DeleteFunc(conditions, func(c corev1.NodeCondition) bool { return string(c.Type) == kind })
	if status == "none" {
		return conditions
	}
	return append(conditions, corev1.NodeCondition{Type: corev1.NodeConditionType(kind), Status: corev1.ConditionStatus(status)})
}
