package autoscale

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Decide is the whole controller. It reads nothing but its argument.
func Decide(s Snapshot) Decision {
	d := begin(s)
	d.decide()
	d.Status.ObservedGeneration = ptr.To(s.Autoscaler.Generation)
	return d.Decision
}

// deciding is a decision that is being made.
type deciding struct {
	Snapshot
	Decision
	old autoscalingv2.HorizontalPodAutoscalerStatus
}

func begin(s Snapshot) *deciding {
	d := &deciding{Snapshot: s, old: s.Autoscaler.Status}
	d.Status = *s.Autoscaler.Status.DeepCopy()
	d.Decision.History = History{Recommendations: slices.Clone(s.History.Recommendations), Changes: slices.Clone(s.History.Changes)}
	d.WakeAt = s.Now.Add(Period)
	return d
}

func (d *deciding) decide() {
	if d.Scale == nil {
		d.set(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale", "the HPA controller was unable to get the target's current scale: "+d.ScaleError)
		d.warn("FailedGetScale", d.ScaleError)
		return
	}
	d.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
	current, wanted, reason := d.Scale.Spec.Replicas, d.Scale.Spec.Replicas, ""
	d.rememberFirst(current)
	d.Status.CurrentReplicas = current
	switch least, most := d.least(), d.Autoscaler.Spec.MaxReplicas; {
	case current == 0 && least != 0:
		d.Status.CurrentMetrics = nil
		d.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
	case current > most:
		d.Status.CurrentMetrics = nil
		wanted, reason = most, "Current number of replicas above Spec.MaxReplicas"
	case current < least:
		d.Status.CurrentMetrics = nil
		wanted, reason = least, "Current number of replicas below Spec.MinReplicas"
	default:
		proposed, metric, ok := d.propose()
		if !ok {
			return // the size that was wanted before is still the one
		}
		if proposed > current {
			reason = metric + " above target"
		} else if proposed < current {
			reason = "All metrics below target"
		}
		wanted = d.limit(proposed)
	}
	d.Status.DesiredReplicas = wanted
	if wanted != current {
		d.rescale(wanted, reason)
	}
}

// least is the least size that the autoscaler gives.
func (d *deciding) least() int32 {
	if d.Autoscaler.Spec.MinReplicas == nil {
		return 1
	}
	return *d.Autoscaler.Spec.MinReplicas
}

// rescale decides for another size.
func (d *deciding) rescale(replicas int32, reason string) {
	d.Rescale = &Rescale{replicas, reason}
	d.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededRescale", fmt.Sprintf("the HPA controller was able to update the target scale to %d", replicas))
	d.Events = append(d.Events, Event{corev1.EventTypeNormal, "SuccessfulRescale", fmt.Sprintf("New size: %d; reason: %s", replicas, reason)})
	d.Status.LastScaleTime = &metav1.Time{Time: d.Now}
	d.rememberChange(replicas - d.Scale.Spec.Replicas)
}

// Refused is the decision when the Rescale that was decided for s could not be
// done.
func (made Decision) Refused(s Snapshot, why string) Decision {
	if made.Rescale == nil {
		return made
	}
	d := begin(s)
	d.Status = *made.Status.DeepCopy()
	d.Status.DesiredReplicas, d.Status.LastScaleTime = d.old.DesiredReplicas, d.old.LastScaleTime
	d.Decision.History.Recommendations = made.History.Recommendations
	for _, event := range made.Events {
		if event.Type == corev1.EventTypeWarning {
			d.Events = append(d.Events, event)
		}
	}
	d.Decision.History.Told = slices.Clone(made.History.Told)
	d.set(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedUpdateScale", "the HPA controller was unable to update the target scale: "+why)
	d.warn("FailedRescale", fmt.Sprintf("New size: %d; reason: %s; error: %s", made.Rescale.Replicas, made.Rescale.Reason, why))
	return d.Decision
}

// set says something in a condition.
func (d *deciding) set(kind autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason, message string) {
	condition := conditionOf(d.Status.Conditions, kind)
	if condition == nil {
		d.Status.Conditions = append(d.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{Type: kind})
		condition = &d.Status.Conditions[len(d.Status.Conditions)-1]
	}
	condition.Status, condition.LastTransitionTime = status, metav1.NewTime(d.Now)
	// A condition may be set twice in a decision: what counts is what was said
	// before.
	if before := conditionOf(d.old.Conditions, kind); before != nil && before.Status == status {
		condition.LastTransitionTime = before.LastTransitionTime
	}
	condition.Reason, condition.Message = reason, message
	condition.ObservedGeneration = ptr.To(d.Autoscaler.Generation)
}

func conditionOf(conditions []autoscalingv2.HorizontalPodAutoscalerCondition, kind autoscalingv2.HorizontalPodAutoscalerConditionType) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

// warn tells of what is wrong, unless that was told the last time too.
func (d *deciding) warn(reason, message string) {
	event := Event{corev1.EventTypeWarning, reason, message}
	d.Decision.History.Told = append(d.Decision.History.Told, event)
	if !slices.Contains(d.Snapshot.History.Told, event) {
		d.Events = append(d.Events, event)
	}
}
