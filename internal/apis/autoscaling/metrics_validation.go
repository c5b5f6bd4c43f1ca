package autoscaling

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// source is a kind of metric: the field that has to be filled in for a type.
type source struct {
	kind  autoscalingv2.MetricSourceType
	field string
	// given tells whether a metric has it, and check looks at it.
	given func(*autoscalingv2.MetricSpec) bool
	check func(*autoscalingv2.MetricSpec, *field.Path) field.ErrorList
}

// sources are in the order in which they are looked at.
var sources = []source{
	{autoscalingv2.ObjectMetricSourceType, "object", func(m *autoscalingv2.MetricSpec) bool { return m.Object != nil }, validateObjectSource},
	{autoscalingv2.ExternalMetricSourceType, "external", func(m *autoscalingv2.MetricSpec) bool { return m.External != nil }, validateExternalSource},
	{autoscalingv2.PodsMetricSourceType, "pods", func(m *autoscalingv2.MetricSpec) bool { return m.Pods != nil }, validatePodsSource},
	{autoscalingv2.ResourceMetricSourceType, "resource", func(m *autoscalingv2.MetricSpec) bool { return m.Resource != nil }, validateResourceSource},
	{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", func(m *autoscalingv2.MetricSpec) bool { return m.ContainerResource != nil }, validateContainerSource},
}

var sourceTypes = []autoscalingv2.MetricSourceType{
	autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType, autoscalingv2.ObjectMetricSourceType,
	autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType,
}

func validateMetrics(spec *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	toZero := false
	for i := range spec.Metrics {
		errs = append(errs, validateMetric(&spec.Metrics[i], at.Index(i))...)
		toZero = toZero || spec.Metrics[i].Type == autoscalingv2.ObjectMetricSourceType || spec.Metrics[i].Type == autoscalingv2.ExternalMetricSourceType
	}
	if spec.MinReplicas != nil && *spec.MinReplicas == 0 && !toZero {
		errs = append(errs, field.Forbidden(at, "must specify at least one Object or External metric to support scaling to zero replicas"))
	}
	return errs
}

func validateMetric(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if metric.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric source type"))
	}
	if !slices.Contains(sourceTypes, metric.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), metric.Type, sourceTypes))
	}
	var given []string
	expected := ""
	for _, s := range sources {
		if s.given(metric) {
			given = append(given, s.field)
			if len(given) == 1 {
				errs = append(errs, s.check(metric, at.Child(s.field))...)
			}
		}
		if s.kind == metric.Type {
			expected = s.field
		}
	}
	if expected != "" && !slices.Contains(given, expected) {
		errs = append(errs, field.Required(at.Child(expected), "must populate information for the given metric source"))
	}
	for _, name := range given {
		if len(given) > 1 && name != expected {
			errs = append(errs, field.Forbidden(at.Child(name), "must populate the given metric source only"))
		}
	}
	return errs
}

func validateObjectSource(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	object := metric.Object
	errs := validateReference(object.DescribedObject, at.Child("describedObject"))
	errs = append(errs, validateVersion(object.DescribedObject.APIVersion, true, at.Child("describedObject"))...)
	errs = append(errs, validateIdentifier(object.Metric, at.Child("metric"))...)
	errs = append(errs, validateTarget(object.Target, at.Child("target"))...)
	if object.Target.Value == nil && object.Target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value or averageValue"))
	}
	return errs
}

func validateExternalSource(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	target := metric.External.Target
	errs := append(validateIdentifier(metric.External.Metric, at.Child("metric")), validateTarget(target, at.Child("target"))...)
	if target.Value == nil && target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"))
	}
	if target.Value != nil && target.AverageValue != nil {
		errs = append(errs, field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
	}
	return errs
}

func validatePodsSource(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	target := metric.Pods.Target
	errs := append(validateIdentifier(metric.Pods.Metric, at.Child("metric")), validateTarget(target, at.Child("target"))...)
	if target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
	}
	return errs
}

func validateResourceSource(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if metric.Resource.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	return append(errs, validateResourceTarget(metric.Resource.Target, at.Child("target"))...)
}

func validateContainerSource(metric *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if metric.ContainerResource.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	container := metric.ContainerResource.Container
	if container == "" {
		errs = append(errs, field.Required(at.Child("container"), "must specify a container"))
	} else {
		for _, message := range validation.IsDNS1123Label(container) {
			errs = append(errs, field.Invalid(at.Child("container"), container, message))
		}
	}
	return append(errs, validateResourceTarget(metric.ContainerResource.Target, at.Child("target"))...)
}

func validateResourceTarget(target autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	errs := validateTarget(target, at)
	if target.AverageUtilization == nil && target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	}
	if target.AverageUtilization != nil && target.AverageValue != nil {
		errs = append(errs, field.Forbidden(at.Child("averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateTarget(target autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if target.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric target type"))
	}
	known := []autoscalingv2.MetricTargetType{autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType}
	if !slices.Contains(known, target.Type) {
		errs = append(errs, field.Invalid(at.Child("type"), target.Type, "must be either Utilization, Value, or AverageValue"))
	}
	positive := func(value *resource.Quantity, name string) {
		if value != nil && value.Sign() != 1 {
			errs = append(errs, field.Invalid(at.Child(name), value.String(), "must be positive"))
		}
	}
	positive(target.Value, "value")
	positive(target.AverageValue, "averageValue")
	if target.AverageUtilization != nil && *target.AverageUtilization < 1 {
		errs = append(errs, field.Invalid(at.Child("averageUtilization"), *target.AverageUtilization, "must be greater than 0"))
	}
	return errs
}

func validateIdentifier(metric autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	return validateSegment(metric.Name, "must specify a metric name", at.Child("name"))
}
