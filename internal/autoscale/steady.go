package autoscale

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// steady keeps what was said of a metric before where it has hardly changed.
// What Pods use is a little different every time: the status of one that does
// nothing would be written every 15 seconds.
func (d *deciding) steady() {
	for i := range d.Status.CurrentMetrics {
		if i >= len(d.old.CurrentMetrics) || i >= len(d.Autoscaler.Spec.Metrics) {
			return
		}
		before, now, spec := &d.old.CurrentMetrics[i], &d.Status.CurrentMetrics[i], &d.Autoscaler.Spec.Metrics[i]
		same := false
		switch {
		case now.Resource != nil && before.Resource != nil && spec.Resource != nil:
			same = now.Resource.Name == before.Resource.Name && hardlyChanged(before.Resource.Current, now.Resource.Current, spec.Resource.Target)
		case now.ContainerResource != nil && before.ContainerResource != nil && spec.ContainerResource != nil:
			a, b := now.ContainerResource, before.ContainerResource
			same = a.Name == b.Name && a.Container == b.Container && hardlyChanged(b.Current, a.Current, spec.ContainerResource.Target)
		}
		if same {
			*now = *before.DeepCopy()
		}
	}
}

// hardlyChanged is the same percent, or, where the target is a value, a
// difference of a hundredth of it at most.
func hardlyChanged(before, now autoscalingv2.MetricValueStatus, target autoscalingv2.MetricTarget) bool {
	if before.AverageUtilization != nil && now.AverageUtilization != nil {
		return *before.AverageUtilization == *now.AverageUtilization
	}
	if before.AverageUtilization != nil || now.AverageUtilization != nil || before.AverageValue == nil || now.AverageValue == nil || target.AverageValue == nil {
		return false
	}
	most := target.AverageValue.MilliValue() / 100
	difference := before.AverageValue.MilliValue() - now.AverageValue.MilliValue()
	return -most <= difference && difference <= most
}
