package metrics

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"coxswain.dev/cox/internal/usage"
)

// podStorage serves what Pods use.
type podStorage struct {
	objects Objects
	agents  agents
}

var (
	_ rest.Getter               = &podStorage{}
	_ rest.Lister               = &podStorage{}
	_ rest.Scoper               = &podStorage{}
	_ rest.SingularNameProvider = &podStorage{}
)

func (s *podStorage) New() runtime.Object     { return &metricsv1beta1.PodMetrics{} }
func (s *podStorage) NewList() runtime.Object { return &metricsv1beta1.PodMetricsList{} }
func (s *podStorage) Destroy()                {}
func (s *podStorage) NamespaceScoped() bool   { return true }
func (s *podStorage) GetSingularName() string { return "podmetrics" }

// Get implements rest.Getter.
func (s *podStorage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	namespace := request.NamespaceValue(ctx)
	object, err := s.objects.Get(ctx, "pods", namespace, name)
	if err != nil {
		return nil, err
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, wrongType(object)
	}
	found := s.usedBy(ctx, []corev1.Pod{*pod})
	if len(found) == 0 {
		return nil, notFound("podmetrics", namespace+"/"+name)
	}
	return &found[0], nil
}

// List implements rest.Lister. Labels and names are selected by as those of
// Pods, which they are.
func (s *podStorage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	listed, err := s.objects.List(ctx, "pods", request.NamespaceValue(ctx), options)
	if err != nil {
		return nil, err
	}
	pods, ok := listed.(*corev1.PodList)
	if !ok {
		return nil, wrongType(listed)
	}
	return &metricsv1beta1.PodMetricsList{Items: s.usedBy(ctx, pods.Items)}, nil
}

// usedBy is what Pods use, in their order, without those of which that is not
// known, or not of every container.
func (s *podStorage) usedBy(ctx context.Context, pods []corev1.Pod) []metricsv1beta1.PodMetrics {
	nodes := map[string]bool{}
	for i := range pods {
		if pods[i].Spec.NodeName != "" && pods[i].Status.Phase == corev1.PodRunning {
			nodes[pods[i].Spec.NodeName] = true
		}
	}
	used := map[string]usage.Pod{} // by UID
	for _, summary := range s.agents.ask(ctx, nodes) {
		for _, pod := range summary.Pods {
			used[pod.Ref.UID] = pod
		}
	}
	found := []metricsv1beta1.PodMetrics{}
	for i := range pods {
		if metrics, ok := podMetrics(&pods[i], used[string(pods[i].UID)]); ok {
			found = append(found, metrics)
		}
	}
	return found
}

func podMetrics(pod *corev1.Pod, used usage.Pod) (metricsv1beta1.PodMetrics, bool) {
	end, window, ok := used.Span()
	if !ok {
		return metricsv1beta1.PodMetrics{}, false
	}
	metrics := metricsv1beta1.PodMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.NewTime(end), Window: metav1.Duration{Duration: window},
	}
	for _, c := range used.Containers {
		metrics.Containers = append(metrics.Containers, metricsv1beta1.ContainerMetrics{Name: c.Name, Usage: amounts(*c.CPU.UsageNanoCores, c.Memory.WorkingSetBytes)})
	}
	return metrics, true
}

// amounts has the forms in which metrics-server gives them.
func amounts(nanoCores, bytes uint64) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(int64(nanoCores), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(int64(bytes), resource.BinarySI),
	}
}

// ConvertToTable implements rest.TableConvertor.
func (s *podStorage) ConvertToTable(_ context.Context, object, _ runtime.Object) (*metav1.Table, error) {
	var items []metricsv1beta1.PodMetrics
	switch object := object.(type) {
	case *metricsv1beta1.PodMetrics:
		items = []metricsv1beta1.PodMetrics{*object}
	case *metricsv1beta1.PodMetricsList:
		items = slices.Clone(object.Items)
	default:
		return nil, wrongType(object)
	}
	table := newTable()
	for i := range items {
		total := corev1.ResourceList{}
		for _, c := range items[i].Containers {
			for name, amount := range c.Usage {
				sum := total[name]
				sum.Add(amount)
				total[name] = sum
			}
		}
		addRow(table, items[i].Name, total, items[i].Window, &items[i])
	}
	return table, nil
}
