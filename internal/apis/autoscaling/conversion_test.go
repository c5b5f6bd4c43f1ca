package autoscaling

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// drawAutoscaler has of everything that v2 can say.
func drawAutoscaler(t *rapid.T) *autoscalingv2.HorizontalPodAutoscaler {
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{"mine": "kept"}}}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas = ptr.To(rapid.Int32Range(1, 3).Draw(t, "min")), rapid.Int32Range(3, 9).Draw(t, "max")
	// What v1 has a field for comes first there.
	if rapid.Bool().Draw(t, "cpu") {
		hpa.Spec.Metrics = append(hpa.Spec.Metrics, cpuMetric(rapid.Int32Range(1, 200).Draw(t, "percent")))
	}
	for range rapid.IntRange(0, 3).Draw(t, "metrics") {
		spec, status := drawMetric(t)
		hpa.Spec.Metrics, hpa.Status.CurrentMetrics = append(hpa.Spec.Metrics, spec), append(hpa.Status.CurrentMetrics, status)
	}
	if rapid.Bool().Draw(t, "behavior") {
		hpa.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: ptr.To(rapid.Int32Range(0, 9).Draw(t, "window")), Tolerance: ptr.To(resource.MustParse("50m")),
		}}
	}
	if rapid.Bool().Draw(t, "condition") {
		hpa.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
			Type: autoscalingv2.AbleToScale, Status: corev1.ConditionTrue, Reason: "Because", Message: "so", ObservedGeneration: ptr.To[int64](3),
		}}
	}
	hpa.Status.CurrentReplicas, hpa.Status.DesiredReplicas = 2, rapid.Int32Range(0, 3).Draw(t, "desired")
	SetDefaults(hpa)
	return hpa
}

func drawMetric(t *rapid.T) (autoscalingv2.MetricSpec, autoscalingv2.MetricStatus) {
	identifier := autoscalingv2.MetricIdentifier{Name: "hits", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	object := autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Service", Name: "front"}
	amount := ptr.To(resource.MustParse("17"))
	average := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: amount}
	value := autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: amount}
	now := autoscalingv2.MetricValueStatus{AverageValue: amount}
	kind := rapid.SampledFrom(sourceTypes).Draw(t, "type")
	spec, status := autoscalingv2.MetricSpec{Type: kind}, autoscalingv2.MetricStatus{Type: kind}
	switch kind {
	case autoscalingv2.ObjectMetricSourceType:
		target := rapid.SampledFrom([]autoscalingv2.MetricTarget{average, value}).Draw(t, "target")
		spec.Object = &autoscalingv2.ObjectMetricSource{DescribedObject: object, Metric: identifier, Target: target}
		status.Object = &autoscalingv2.ObjectMetricStatus{DescribedObject: object, Metric: identifier, Current: autoscalingv2.MetricValueStatus{Value: amount}}
	case autoscalingv2.PodsMetricSourceType:
		spec.Pods = &autoscalingv2.PodsMetricSource{Metric: identifier, Target: average}
		status.Pods = &autoscalingv2.PodsMetricStatus{Metric: identifier, Current: now}
	case autoscalingv2.ResourceMetricSourceType:
		spec.Resource = &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceMemory, Target: average}
		status.Resource = &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceMemory, Current: now}
	case autoscalingv2.ContainerResourceMetricSourceType:
		target := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](40)}
		spec.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "main", Target: target}
		status.ContainerResource = &autoscalingv2.ContainerResourceMetricStatus{Name: corev1.ResourceCPU, Container: "main", Current: now}
	default:
		target := rapid.SampledFrom([]autoscalingv2.MetricTarget{average, value}).Draw(t, "target")
		spec.External = &autoscalingv2.ExternalMetricSource{Metric: identifier, Target: target}
		status.External = &autoscalingv2.ExternalMetricStatus{Metric: identifier, Current: now}
	}
	return spec, status
}

// A client of v1 that reads and writes back changes nothing.
func TestWhatV1ReadsAndWritesBackIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hpa := drawAutoscaler(t)
		before := hpa.DeepCopy()
		var shown autoscalingv1.HorizontalPodAutoscaler
		var back autoscalingv2.HorizontalPodAutoscaler
		ToV1(hpa, &shown)
		FromV1(&shown, &back)
		if diff := cmp.Diff(before, &back); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
		if diff := cmp.Diff(before, hpa); diff != "" {
			t.Errorf("showing it has changed it:\n%s", diff)
		}
		if errs := Validate(&back); len(errs) > 0 {
			t.Errorf("refused: %v", errs)
		}
	})
}

func TestWhatSomebodySpoiltIsLeftOut(t *testing.T) {
	in := &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		metricsAnnotation: "[{", currentMetricsAnnotation: "7", conditionsAnnotation: "{}", behaviorAnnotation: "[]",
	}}}
	var out autoscalingv2.HorizontalPodAutoscaler
	FromV1(in, &out)
	if len(out.Annotations) > 0 || out.Spec.Behavior != nil || len(out.Status.Conditions)+len(out.Status.CurrentMetrics) > 0 {
		t.Errorf("read as %+v", out)
	}
	if diff := cmp.Diff([]autoscalingv2.MetricSpec{cpuMetric(defaultUtilization)}, out.Spec.Metrics); diff != "" {
		t.Error(diff)
	}
}
