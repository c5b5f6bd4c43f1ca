package autoscaling

import (
	"encoding/json"
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// Annotations in which autoscaling/v1 shows what it has no fields for.
const (
	metricsAnnotation        = "autoscaling.alpha.kubernetes.io/metrics"
	currentMetricsAnnotation = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsAnnotation     = "autoscaling.alpha.kubernetes.io/conditions"
	behaviorAnnotation       = "autoscaling.alpha.kubernetes.io/behavior"
)

// ToV1 is an autoscaler as autoscaling/v1 shows it.
func ToV1(in *autoscalingv2.HorizontalPodAutoscaler, out *autoscalingv1.HorizontalPodAutoscaler) {
	cpu, others := splitMetrics(in.Spec.Metrics)
	*out = autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas, TargetCPUUtilizationPercentage: cpu,
		},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	for _, current := range in.Status.CurrentMetrics {
		if current.Resource != nil && current.Resource.Name == corev1.ResourceCPU {
			out.Status.CurrentCPUUtilizationPercentage = current.Resource.Current.AverageUtilization
		}
	}
	// The others' map is not ours to write to.
	out.Annotations = withoutOurs(in.Annotations)
	annotate(out, metricsAnnotation, others, metricToV1)
	annotate(out, currentMetricsAnnotation, in.Status.CurrentMetrics, statusToV1)
	annotate(out, conditionsAnnotation, in.Status.Conditions, conditionToV1)
	if in.Spec.Behavior != nil {
		setAnnotation(out, behaviorAnnotation, behaviorToV1(in.Spec.Behavior))
	}
}

// FromV1 is the autoscaler that one of autoscaling/v1 means. An annotation that
// somebody spoilt is as if it were not there.
func FromV1(in *autoscalingv1.HorizontalPodAutoscaler, out *autoscalingv2.HorizontalPodAutoscaler) {
	*out = autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas,
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	if percent := in.Spec.TargetCPUUtilizationPercentage; percent != nil {
		out.Spec.Metrics = []autoscalingv2.MetricSpec{cpuMetric(*percent)}
	}
	out.Spec.Metrics = append(out.Spec.Metrics, annotated(in, metricsAnnotation, metricFromV1)...)
	out.Status.CurrentMetrics = annotated(in, currentMetricsAnnotation, statusFromV1)
	if percent := in.Status.CurrentCPUUtilizationPercentage; percent != nil && out.Status.CurrentMetrics == nil {
		out.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricStatus{
				Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: percent},
			},
		}}
	}
	out.Status.Conditions = annotated(in, conditionsAnnotation, conditionFromV1)
	if text, ok := in.Annotations[behaviorAnnotation]; ok {
		behavior := &autoscalingv2.HorizontalPodAutoscalerBehavior{}
		if json.Unmarshal([]byte(text), behavior) == nil {
			out.Spec.Behavior = behavior
		}
	}
	out.Annotations = withoutOurs(in.Annotations)
	// The defaults of v2, which nothing of v1 has had yet.
	minReplicas := out.Spec.MinReplicas
	SetDefaults(out)
	out.Spec.MinReplicas = minReplicas
}

// splitMetrics finds the metric that autoscaling/v1 has a field for.
func splitMetrics(metrics []autoscalingv2.MetricSpec) (cpu *int32, others []autoscalingv2.MetricSpec) {
	for _, metric := range metrics {
		if r := metric.Resource; cpu == nil && r != nil && r.Name == corev1.ResourceCPU && r.Target.AverageUtilization != nil {
			cpu = r.Target.AverageUtilization
			continue
		}
		others = append(others, metric)
	}
	return cpu, others
}

// withoutOurs is a copy of annotations, nil for none.
func withoutOurs(annotations map[string]string) map[string]string {
	kept := maps.Clone(annotations)
	for _, name := range []string{metricsAnnotation, currentMetricsAnnotation, conditionsAnnotation, behaviorAnnotation} {
		delete(kept, name)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// annotate writes a list in the form of v1, unless it is empty.
func annotate[From, To any](out *autoscalingv1.HorizontalPodAutoscaler, name string, list []From, convert func(From) To) {
	if len(list) == 0 {
		return
	}
	converted := make([]To, len(list))
	for i := range list {
		converted[i] = convert(list[i])
	}
	setAnnotation(out, name, converted)
}

func setAnnotation(out *autoscalingv1.HorizontalPodAutoscaler, name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		return // no value of these types is refused
	}
	if out.Annotations == nil {
		out.Annotations = map[string]string{}
	}
	out.Annotations[name] = string(text)
}

// annotated reads what annotate wrote.
func annotated[From, To any](in *autoscalingv1.HorizontalPodAutoscaler, name string, convert func(From) To) []To {
	var list []From
	text, ok := in.Annotations[name]
	if !ok || json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	var converted []To
	for _, element := range list {
		converted = append(converted, convert(element))
	}
	return converted
}
