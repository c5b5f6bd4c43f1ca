package autoscale

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
)

// proposal is what one metric asks for.
type proposal struct {
	replicas int32
	// name is how the metric is called in a reason.
	name   string
	status autoscalingv2.MetricStatus
}

// failure is why a metric asks for nothing.
type failure struct {
	// reason is the condition's, and message what it says.
	reason, message string
	// context says which metric it is about.
	context string
}

// propose is the greatest size that a metric asks for, and that metric's name.
// ok is false where that is not to be followed: no metric is known, or those
// that are would have it smaller.
func (d *deciding) propose() (replicas int32, name string, ok bool) {
	if !d.checkSelector() {
		d.Status.CurrentMetrics = nil
		return 0, "", false
	}
	specs := d.Autoscaler.Spec.Metrics
	statuses := make([]autoscalingv2.MetricStatus, len(specs))
	var failures []failure
	for i := range specs {
		p, failed := d.proposalOf(&specs[i])
		if failed != nil {
			failures = append(failures, *failed)
			continue
		}
		statuses[i] = p.status
		if name == "" || p.replicas > replicas {
			replicas, name = p.replicas, p.name
		}
	}
	d.Status.CurrentMetrics = statuses
	d.steady()
	if first := firstOf(failures); len(failures) == len(specs) || len(failures) > 0 && replicas < d.Scale.Spec.Replicas {
		d.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, first.reason, "the HPA was unable to compute the replica count: "+first.message)
		d.warnOf(failures)
		d.warn("FailedComputeMetricsReplicas", fmt.Sprintf("invalid metrics (%d invalid out of %d), first error is: %s: %s",
			len(failures), len(specs), first.context, first.message))
		return 0, "", false
	}
	d.set(autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from "+name)
	d.warnOf(failures)
	return replicas, name, true
}

// firstOf is the first failure. An autoscaler without metrics, which no API
// stores, has none.
func firstOf(failures []failure) failure {
	if len(failures) == 0 {
		return failure{"InvalidMetricSourceType", "no metric is given", "failed to get metrics"}
	}
	return failures[0]
}

func (d *deciding) warnOf(failures []failure) {
	for _, f := range failures {
		d.warn(f.reason, f.message)
	}
}

// checkSelector looks at how the target selects its Pods.
func (d *deciding) checkSelector() bool {
	selector := d.Scale.Status.Selector
	refuse := func(eventReason, reason, condition, message string) bool {
		d.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, reason, condition)
		d.warn(eventReason, message)
		d.warn("FailedComputeMetricsReplicas", message)
		return false
	}
	if selector == "" {
		return refuse("SelectorRequired", "InvalidSelector", "the HPA target's scale is missing a selector", "selector is required")
	}
	if _, err := labels.Parse(selector); err != nil {
		message := fmt.Sprintf("couldn't convert selector into a corresponding internal selector object: %v", err)
		return refuse("InvalidSelector", "InvalidSelector", message, message)
	}
	if len(d.Rivals) > 1 {
		message := fmt.Sprintf("pods by selector %s are controlled by multiple HPAs: [%s]", selector, strings.Join(d.Rivals, " "))
		return refuse("AmbiguousSelector", "AmbiguousSelector", message, message)
	}
	return true
}

// Nobody serves these; upstream without an adapter for them says the same.
const (
	noCustomMetrics   = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
	noExternalMetrics = "unable to fetch metrics from external metrics API: the server could not find the requested resource (get %s.external.metrics.k8s.io)"
)

// proposalOf is what one metric asks for, or why it does not.
func (d *deciding) proposalOf(spec *autoscalingv2.MetricSpec) (*proposal, *failure) {
	namespace := d.Autoscaler.Namespace
	switch {
	case spec.Type == autoscalingv2.ResourceMetricSourceType && spec.Resource != nil:
		p, err := d.resource(spec.Resource.Name, "", spec.Resource.Target)
		if err != nil {
			return nil, &failure{"FailedGetResourceMetric", err.Error(), fmt.Sprintf("failed to get %s resource metric value", spec.Resource.Name)}
		}
		p.status = autoscalingv2.MetricStatus{Type: spec.Type, Resource: &autoscalingv2.ResourceMetricStatus{Name: spec.Resource.Name, Current: p.current}}
		return &p.proposal, nil
	case spec.Type == autoscalingv2.ContainerResourceMetricSourceType && spec.ContainerResource != nil:
		source := spec.ContainerResource
		p, err := d.resource(source.Name, source.Container, source.Target)
		if err != nil {
			return nil, &failure{"FailedGetContainerResourceMetric", err.Error(), fmt.Sprintf("failed to get %s container metric value", source.Container)}
		}
		p.status = autoscalingv2.MetricStatus{Type: spec.Type, ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: source.Name, Container: source.Container, Current: p.current}}
		return &p.proposal, nil
	case spec.Type == autoscalingv2.PodsMetricSourceType && spec.Pods != nil:
		return nil, &failure{"FailedGetPodsMetric", fmt.Sprintf("unable to get metric %s: %s", spec.Pods.Metric.Name, noCustomMetrics), "failed to get pods metric value"}
	case spec.Type == autoscalingv2.ObjectMetricSourceType && spec.Object != nil:
		object := spec.Object
		return nil, &failure{"FailedGetObjectMetric", fmt.Sprintf("unable to get metric %s: %s on %s %s/%s",
			object.Metric.Name, object.DescribedObject.Kind, namespace, object.DescribedObject.Name, noCustomMetrics), "failed to get object metric value"}
	case spec.Type == autoscalingv2.ExternalMetricSourceType && spec.External != nil:
		metric := spec.External.Metric
		return nil, &failure{"FailedGetExternalMetric", fmt.Sprintf("unable to get external metric %s/%s/%+v: "+noExternalMetrics,
			namespace, metric.Name, metric.Selector, metric.Name), fmt.Sprintf("failed to get %s external metric value", metric.Name)}
	}
	return nil, &failure{"InvalidMetricSourceType", fmt.Sprintf("unknown metric source type %q", spec.Type), "failed to get metric value"}
}

// resourceProposal is one of a resource, with what is used now.
type resourceProposal struct {
	proposal
	current autoscalingv2.MetricValueStatus
}

// resource follows a resource of whole Pods, or of one container of each.
func (d *deciding) resource(name corev1.ResourceName, container string, target autoscalingv2.MetricTarget) (*resourceProposal, error) {
	switch {
	case target.AverageValue != nil:
		count, err := d.countPods(name, container)
		if err != nil {
			return nil, fmt.Errorf("failed to get %s usage: %w", name, err)
		}
		replicas, average := count.byValue(target.AverageValue.MilliValue())
		return &resourceProposal{proposal{replicas: replicas, name: string(name) + " resource"}, autoscalingv2.MetricValueStatus{
			AverageValue: resource.NewMilliQuantity(average, resource.DecimalSI),
		}}, nil
	case target.AverageUtilization != nil:
		count, err := d.countPods(name, container)
		if err != nil {
			return nil, fmt.Errorf("failed to get %s utilization: %w", name, err)
		}
		replicas, percent, average, err := count.byUtilization(*target.AverageUtilization)
		if err != nil {
			return nil, fmt.Errorf("failed to get %s utilization: %w", name, err)
		}
		return &resourceProposal{proposal{replicas: replicas, name: string(name) + " resource utilization (percentage of request)"}, autoscalingv2.MetricValueStatus{
			AverageUtilization: &percent, AverageValue: resource.NewMilliQuantity(average, resource.DecimalSI),
		}}, nil
	}
	return nil, fmt.Errorf("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")
}
