package autoscale

import (
	"math"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// limit is the size to take of the one that the metrics ask for.
func (d *deciding) limit(proposed int32) int32 {
	stable, reason, message := d.stabilize(proposed)
	d.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, reason, message)
	bounded, reason, message := d.bound(stable)
	limited := corev1.ConditionFalse
	if bounded != stable {
		limited = corev1.ConditionTrue
	}
	d.set(autoscalingv2.ScalingLimited, limited, reason, message)
	return bounded
}

const (
	higherLately = "recent recommendations were higher than current one, applying the highest recent recommendation"
	lowerLately  = "recent recommendations were lower than current one, applying the lowest recent recommendation"
)

// stabilize holds a size back by those that were recommended lately, and
// remembers it.
func (d *deciding) stabilize(proposed int32) (size int32, reason, message string) {
	upWindow, downWindow := time.Duration(0), downscaleWindow
	if behavior := d.Autoscaler.Spec.Behavior; behavior != nil {
		upWindow, downWindow = windowOf(behavior.ScaleUp, 0), windowOf(behavior.ScaleDown, downscaleWindow)
	}
	lowest, highest := proposed, proposed
	for _, r := range d.Decision.History.Recommendations {
		if r.At.After(d.Now.Add(-upWindow)) {
			lowest = min(lowest, r.Replicas)
		}
		if r.At.After(d.Now.Add(-downWindow)) {
			highest = max(highest, r.Replicas)
		}
	}
	d.remember(proposed, max(upWindow, downWindow))
	current := d.Scale.Spec.Replicas
	size = min(max(current, lowest), highest)
	if d.Autoscaler.Spec.Behavior == nil {
		size = highest
	}
	switch {
	case size == proposed:
		return size, "ReadyForNewScale", "recommended size matches current size"
	case proposed >= current && d.Autoscaler.Spec.Behavior != nil:
		return size, "ScaleUpStabilized", lowerLately
	default:
		return size, "ScaleDownStabilized", higherLately
	}
}

func windowOf(rules *autoscalingv2.HPAScalingRules, otherwise time.Duration) time.Duration {
	if rules == nil || rules.StabilizationWindowSeconds == nil {
		return otherwise
	}
	return time.Duration(*rules.StabilizationWindowSeconds) * time.Second
}

// tolerances are those of the behavior, or the controller's.
func (d *deciding) tolerances() (up, down float64) {
	up, down = tolerance, tolerance
	if behavior := d.Autoscaler.Spec.Behavior; behavior != nil {
		if behavior.ScaleUp != nil && behavior.ScaleUp.Tolerance != nil {
			up = behavior.ScaleUp.Tolerance.AsApproximateFloat64()
		}
		if behavior.ScaleDown != nil && behavior.ScaleDown.Tolerance != nil {
			down = behavior.ScaleDown.Tolerance.AsApproximateFloat64()
		}
	}
	return up, down
}

const (
	tooMany = "the desired replica count is more than the maximum replica count"
	tooFew  = "the desired replica count is less than the minimum replica count"
	tooFast = "the desired replica count is increasing faster than the maximum scale rate"
	tooSoon = "the desired replica count is decreasing faster than the maximum scale rate"
	inRange = "the desired count is within the acceptable range"
)

// bound keeps a size within the bounds, and changes no faster than may be.
func (d *deciding) bound(size int32) (bounded int32, reason, message string) {
	current, least, most := d.Scale.Spec.Replicas, d.least(), d.Autoscaler.Spec.MaxReplicas
	upTo, downTo := fastestWithoutBehavior(current), int32(math.MinInt32)
	if behavior := d.Autoscaler.Spec.Behavior; behavior != nil {
		upTo, downTo = max(d.upTo(behavior.ScaleUp), current), min(d.downTo(behavior.ScaleDown), current)
	}
	if fastest := min(most, upTo); size > fastest {
		if most > upTo {
			return fastest, "ScaleUpLimit", tooFast
		}
		return fastest, "TooManyReplicas", tooMany
	}
	if slowest := max(least, downTo); size < slowest {
		if least < downTo {
			return slowest, "ScaleDownLimit", tooSoon
		}
		return slowest, "TooFewReplicas", tooFew
	}
	return size, "DesiredWithinRange", inRange
}

// fastestWithoutBehavior is twice the size, or 4: a wrong reading is not to
// start a thousand Pods.
func fastestWithoutBehavior(current int32) int32 {
	return int32(max(min(2*int64(current), math.MaxInt32), 4))
}

// upTo is the greatest size that the rules allow now.
func (d *deciding) upTo(rules *autoscalingv2.HPAScalingRules) int32 {
	return d.fastest(rules, func(policy autoscalingv2.HPAScalingPolicy, before float64) float64 {
		if policy.Type == autoscalingv2.PercentScalingPolicy {
			return math.Ceil(before * (1 + float64(policy.Value)/100))
		}
		return before + float64(policy.Value)
	}, 1)
}

// downTo is the least size that the rules allow now.
func (d *deciding) downTo(rules *autoscalingv2.HPAScalingRules) int32 {
	return d.fastest(rules, func(policy autoscalingv2.HPAScalingPolicy, before float64) float64 {
		if policy.Type == autoscalingv2.PercentScalingPolicy {
			return math.Trunc(before * (1 - float64(policy.Value)/100))
		}
		return before - float64(policy.Value)
	}, -1)
}

// fastest is the size that the policy allows which is selected: the one that
// changes most, or least. direction is 1 for up and -1 for down.
func (d *deciding) fastest(rules *autoscalingv2.HPAScalingRules, allowed func(policy autoscalingv2.HPAScalingPolicy, before float64) float64, direction float64) int32 {
	current := d.Scale.Spec.Replicas
	selected := autoscalingv2.MaxChangePolicySelect
	if rules != nil && rules.SelectPolicy != nil {
		selected = *rules.SelectPolicy
	}
	if selected == autoscalingv2.DisabledPolicySelect {
		return current
	}
	if rules == nil || len(rules.Policies) == 0 {
		return int32(direction) * math.MaxInt32
	}
	var sizes []float64
	for _, policy := range rules.Policies {
		sizes = append(sizes, direction*allowed(policy, float64(d.sizeBefore(policy.PeriodSeconds))))
	}
	size := slices.Max(sizes)
	if selected == autoscalingv2.MinChangePolicySelect {
		size = slices.Min(sizes)
	}
	return int32(min(max(direction*size, math.MinInt32), math.MaxInt32))
}

// sizeBefore is how large the target was so long ago, as far as changes of ours
// go.
func (d *deciding) sizeBefore(seconds int32) int64 {
	size := int64(d.Scale.Spec.Replicas)
	for _, change := range d.Snapshot.History.Changes {
		if change.At.After(d.Now.Add(-time.Duration(seconds) * time.Second)) {
			size -= int64(change.By)
		}
	}
	return size
}

// rememberFirst takes the size that is found for a recommendation, so that a
// controller that has just started does not scale down at once.
func (d *deciding) rememberFirst(current int32) {
	if len(d.Decision.History.Recommendations) == 0 {
		d.Decision.History.Recommendations = []Recommendation{{d.Now, current}}
	}
}

// remember adds a recommendation, and forgets those that have no say any more.
func (d *deciding) remember(replicas int32, window time.Duration) {
	kept := slices.DeleteFunc(d.Decision.History.Recommendations, func(r Recommendation) bool { return !r.At.After(d.Now.Add(-window)) })
	kept = append(kept, Recommendation{d.Now, replicas})
	d.Decision.History.Recommendations = kept[max(0, len(kept)-mostRemembered):]
}

// longestPeriod is the longest that a policy may look back.
const longestPeriod = 30 * time.Minute

func (d *deciding) rememberChange(by int32) {
	kept := slices.DeleteFunc(d.Decision.History.Changes, func(c Change) bool { return !c.At.After(d.Now.Add(-longestPeriod)) })
	kept = append(kept, Change{d.Now, by})
	d.Decision.History.Changes = kept[max(0, len(kept)-mostRemembered):]
}
