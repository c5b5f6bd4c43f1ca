package autoscaling

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// defaultUtilization is the processor use, in percent of what was requested,
// that an autoscaler keeps which names no metric.
const defaultUtilization = 80

// AddDefaults registers the defaults of both versions with scheme.
func AddDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&autoscalingv2.HorizontalPodAutoscaler{}, func(obj any) { SetDefaults(obj.(*autoscalingv2.HorizontalPodAutoscaler)) })
	scheme.AddTypeDefaultingFunc(&autoscalingv2.HorizontalPodAutoscalerList{}, func(obj any) {
		for i := range obj.(*autoscalingv2.HorizontalPodAutoscalerList).Items {
			SetDefaults(&obj.(*autoscalingv2.HorizontalPodAutoscalerList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&autoscalingv1.HorizontalPodAutoscaler{}, func(obj any) {
		// What else there is follows when it becomes one of v2.
		setIfNil(&obj.(*autoscalingv1.HorizontalPodAutoscaler).Spec.MinReplicas, 1)
	})
}

// SetDefaults fills in what an autoscaler leaves out.
func SetDefaults(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	setIfNil(&hpa.Spec.MinReplicas, 1)
	if len(hpa.Spec.Metrics) == 0 {
		hpa.Spec.Metrics = []autoscalingv2.MetricSpec{cpuMetric(defaultUtilization)}
	}
	if behavior := hpa.Spec.Behavior; behavior != nil {
		behavior.ScaleUp = rulesWithDefaults(behavior.ScaleUp, autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: ptr.To[int32](0),
			Policies: []autoscalingv2.HPAScalingPolicy{
				{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
				{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
			},
		})
		// Its window is the controller's to choose.
		behavior.ScaleDown = rulesWithDefaults(behavior.ScaleDown, autoscalingv2.HPAScalingRules{
			Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}},
		})
	}
}

// cpuMetric wants so many percent of the requested processor time used.
func cpuMetric(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name:   corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
		},
	}
}

// rulesWithDefaults takes what rules leave out from defaults.
func rulesWithDefaults(rules *autoscalingv2.HPAScalingRules, defaults autoscalingv2.HPAScalingRules) *autoscalingv2.HPAScalingRules {
	if rules == nil {
		rules = &autoscalingv2.HPAScalingRules{}
	}
	setIfNil(&rules.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if rules.StabilizationWindowSeconds == nil {
		rules.StabilizationWindowSeconds = defaults.StabilizationWindowSeconds
	}
	if rules.Policies == nil {
		rules.Policies = defaults.Policies
	}
	return rules
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
