package autoscale

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// steady keeps what was said of a metric before where it has hardly changed.
// What Pods use is a little different every time: the status of one that does
// nothing would be written every 15 seconds.
func (d *deciding) steady() {
	for i := range d.Status.CurrentMetrics {
		if i < len(d.old.CurrentMetrics) && hardlyChanged(&d.old.CurrentMetrics[i], &d.Status.CurrentMetrics[i], targetOf(&d.Autoscaler.Spec.Metrics[i])) {
			d.Status.CurrentMetrics[i] = *d.old.CurrentMetrics[i].DeepCopy()
		}
	}
}

// hardlyChanged is the same percent, or, where the target is a value, a
// difference of a hundredth of it at most.
func hardlyChanged(before, now *autoscalingv2.MetricStatus, target autoscalingv2.MetricTarget) bool {
	nameBefore, a := currentOf(before)
	nameNow, b := currentOf(now)
	switch {
	case nameBefore != nameNow:
		return false
	case a.AverageUtilization != nil && b.AverageUtilization != nil:
		return *a.AverageUtilization == *b.AverageUtilization
	case target.AverageValue != nil && a.AverageValue != nil && b.AverageValue != nil:
		most := target.AverageValue.MilliValue() / 100
		difference := a.AverageValue.MilliValue() - b.AverageValue.MilliValue()
		return -most <= difference && difference <= most
	}
	return false
}

// currentOf is what is used of a resource, and the name of that; both are empty
// for a metric that is not known.
func currentOf(status *autoscalingv2.MetricStatus) (name string, current autoscalingv2.MetricValueStatus) {
	switch {
	case status.Resource != nil:
		return string(status.Resource.Name), status.Resource.Current
	case status.ContainerResource != nil:
		return status.ContainerResource.Container + "'s " + string(status.ContainerResource.Name), status.ContainerResource.Current
	}
	return "", current
}

func targetOf(spec *autoscalingv2.MetricSpec) (target autoscalingv2.MetricTarget) {
	switch {
	case spec.Resource != nil:
		return spec.Resource.Target
	case spec.ContainerResource != nil:
		return spec.ContainerResource.Target
	}
	return target
}
