package metrics

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"coxswain.dev/cox/internal/usage"
)

// nodeStorage serves what nodes use.
type nodeStorage struct {
	objects Objects
	agents  agents
}

var (
	_ rest.Getter               = &nodeStorage{}
	_ rest.Lister               = &nodeStorage{}
	_ rest.Scoper               = &nodeStorage{}
	_ rest.SingularNameProvider = &nodeStorage{}
)

func (s *nodeStorage) New() runtime.Object     { return &metricsv1beta1.NodeMetrics{} }
func (s *nodeStorage) NewList() runtime.Object { return &metricsv1beta1.NodeMetricsList{} }
func (s *nodeStorage) Destroy()                {}
func (s *nodeStorage) NamespaceScoped() bool   { return false }
func (s *nodeStorage) GetSingularName() string { return "nodemetrics" }

// Get implements rest.Getter.
func (s *nodeStorage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	object, err := s.objects.Get(ctx, "nodes", "", name)
	if err != nil {
		return nil, err
	}
	node, ok := object.(*corev1.Node)
	if !ok {
		return nil, wrongType(object)
	}
	found := s.usedBy(ctx, []corev1.Node{*node})
	if len(found) == 0 {
		return nil, notFound("nodemetrics", name)
	}
	return &found[0], nil
}

// List implements rest.Lister.
func (s *nodeStorage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	listed, err := s.objects.List(ctx, "nodes", "", options)
	if err != nil {
		return nil, err
	}
	nodes, ok := listed.(*corev1.NodeList)
	if !ok {
		return nil, wrongType(listed)
	}
	return &metricsv1beta1.NodeMetricsList{Items: s.usedBy(ctx, nodes.Items)}, nil
}

// usedBy is what nodes use, in their order, without those that do not answer.
func (s *nodeStorage) usedBy(ctx context.Context, nodes []corev1.Node) []metricsv1beta1.NodeMetrics {
	names := map[string]bool{}
	for i := range nodes {
		names[nodes[i].Name] = true
	}
	answers := s.agents.ask(ctx, names)
	found := []metricsv1beta1.NodeMetrics{}
	for i := range nodes {
		if metrics, ok := nodeMetrics(&nodes[i], answers[nodes[i].Name].Node); ok {
			found = append(found, metrics)
		}
	}
	return found
}

func nodeMetrics(node *corev1.Node, used usage.Node) (metricsv1beta1.NodeMetrics, bool) {
	if used.CPU == nil || used.CPU.UsageNanoCores == nil || used.Memory == nil {
		return metricsv1beta1.NodeMetrics{}, false
	}
	return metricsv1beta1.NodeMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.NewTime(used.CPU.Time), Window: metav1.Duration{Duration: used.CPU.Window},
		Usage: amounts(*used.CPU.UsageNanoCores, used.Memory.WorkingSetBytes),
	}, true
}

// ConvertToTable implements rest.TableConvertor.
func (s *nodeStorage) ConvertToTable(_ context.Context, object, _ runtime.Object) (*metav1.Table, error) {
	var items []metricsv1beta1.NodeMetrics
	switch object := object.(type) {
	case *metricsv1beta1.NodeMetrics:
		items = []metricsv1beta1.NodeMetrics{*object}
	case *metricsv1beta1.NodeMetricsList:
		items = slices.Clone(object.Items)
	default:
		return nil, wrongType(object)
	}
	table := newTable()
	for i := range items {
		addRow(table, items[i].Name, items[i].Usage, items[i].Window, &items[i])
	}
	return table, nil
}
