package autoscaling

import (
	"context"
	"fmt"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/autoscaling"
	"coxswain.dev/cox/internal/registry"
)

func autoscaler() registry.Kind[*autoscalingv2.HorizontalPodAutoscaler] {
	return registry.Kind[*autoscalingv2.HorizontalPodAutoscaler]{
		Version: autoscalingv2.SchemeGroupVersion, Resource: "horizontalpodautoscalers", Singular: "horizontalpodautoscaler",
		Older:      []schema.GroupVersion{autoscalingv1.SchemeGroupVersion},
		ShortNames: []string{"hpa"}, Categories: []string{"all"},
		New:     func() *autoscalingv2.HorizontalPodAutoscaler { return &autoscalingv2.HorizontalPodAutoscaler{} },
		NewList: func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscalerList{} },
		PrepareForCreate: func(_ context.Context, obj *autoscalingv2.HorizontalPodAutoscaler) {
			obj.Status, obj.Generation = autoscalingv2.HorizontalPodAutoscalerStatus{}, 1
		},
		PrepareForUpdate: func(_ context.Context, obj, old *autoscalingv2.HorizontalPodAutoscaler) {
			obj.Status, obj.Generation = old.Status, old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
			return api.Validate(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
			return api.ValidateUpdate(obj, old)
		},
		Status: &registry.Status[*autoscalingv2.HorizontalPodAutoscaler]{
			PrepareForUpdate: func(_ context.Context, obj, old *autoscalingv2.HorizontalPodAutoscaler) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
				return api.ValidateStatus(&obj.Status)
			},
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Reference", "string", autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()["scaleTargetRef"]),
			registry.Column("Targets", "string", autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()["metrics"]),
			registry.Column("MinPods", "string", autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()["minReplicas"]),
			registry.Column("MaxPods", "string", autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()["maxReplicas"]),
			registry.Column("Replicas", "string", autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()["currentReplicas"]),
			registry.AgeColumn,
		},
		Row: func(obj *autoscalingv2.HorizontalPodAutoscaler) []any {
			target, least := obj.Spec.ScaleTargetRef, "<unset>"
			if obj.Spec.MinReplicas != nil {
				least = fmt.Sprint(*obj.Spec.MinReplicas)
			}
			return []any{obj.Name, target.Kind + "/" + target.Name, metricsText(obj.Spec.Metrics, obj.Status.CurrentMetrics), least,
				int64(obj.Spec.MaxReplicas), int64(obj.Status.CurrentReplicas), registry.Age(obj.CreationTimestamp)}
		},
	}
}

// mostMetrics is how many metrics a line shows.
const mostMetrics = 2

// metricsText has what every metric is and what it is to be.
func metricsText(specs []autoscalingv2.MetricSpec, statuses []autoscalingv2.MetricStatus) string {
	if len(specs) == 0 {
		return "<none>"
	}
	var texts []string
	for i := range specs {
		status := autoscalingv2.MetricStatus{}
		if i < len(statuses) {
			status = statuses[i]
		}
		texts = append(texts, metricText(&specs[i], &status))
	}
	if len(texts) > mostMetrics {
		return fmt.Sprintf("%s + %d more...", strings.Join(texts[:mostMetrics], ", "), len(texts)-mostMetrics)
	}
	return strings.Join(texts, ", ")
}

func metricText(spec *autoscalingv2.MetricSpec, status *autoscalingv2.MetricStatus) string {
	var current autoscalingv2.MetricValueStatus
	switch {
	case spec.Resource != nil:
		if status.Resource != nil {
			current = status.Resource.Current
		}
		return string(spec.Resource.Name) + ": " + resourceText(current, spec.Resource.Target)
	case spec.ContainerResource != nil:
		if status.ContainerResource != nil {
			current = status.ContainerResource.Current
		}
		return string(spec.ContainerResource.Name) + ": " + resourceText(current, spec.ContainerResource.Target)
	case spec.Pods != nil:
		if status.Pods != nil {
			current = status.Pods.Current
		}
		return valueText(current.AverageValue) + "/" + valueText(spec.Pods.Target.AverageValue)
	case spec.Object != nil:
		if status.Object != nil {
			current = status.Object.Current
		}
		return averageOrValueText(current, spec.Object.Target)
	case spec.External != nil:
		if status.External != nil {
			current = status.External.Current
		}
		return averageOrValueText(current, spec.External.Target)
	}
	return "<unknown type>"
}

func resourceText(current autoscalingv2.MetricValueStatus, target autoscalingv2.MetricTarget) string {
	if target.AverageValue != nil {
		return valueText(current.AverageValue) + "/" + target.AverageValue.String()
	}
	now, wanted := "<unknown>", "<auto>"
	if current.AverageUtilization != nil {
		now = fmt.Sprintf("%d%%", *current.AverageUtilization)
	}
	if target.AverageUtilization != nil {
		wanted = fmt.Sprintf("%d%%", *target.AverageUtilization)
	}
	return now + "/" + wanted
}

func averageOrValueText(current autoscalingv2.MetricValueStatus, target autoscalingv2.MetricTarget) string {
	if target.AverageValue != nil {
		return valueText(current.AverageValue) + "/" + target.AverageValue.String() + " (avg)"
	}
	return valueText(current.Value) + "/" + valueText(target.Value)
}

func valueText(value *resource.Quantity) string {
	if value == nil {
		return "<unknown>"
	}
	return value.String()
}
