package rollout

import (
	"math"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// isRolling tells whether the strategy is RollingUpdate, also by default.
func (w *wave) isRolling() bool {
	return w.deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType
}

// maxSurge is how many Pods there may be beyond the wanted number.
func (w *wave) maxSurge() int32 {
	surge, _ := w.fenceposts()
	return surge
}

// most is how many Pods there may be in all, as far as can be counted.
func (w *wave) most() int64 {
	return min(int64(w.wanted())+int64(w.maxSurge()), math.MaxInt32)
}

// maxUnavailable is how many of the wanted Pods may be unavailable.
func (w *wave) maxUnavailable() int32 {
	_, unavailable := w.fenceposts()
	return min(unavailable, w.wanted())
}

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down).
// Where both come to 0, one Pod may be unavailable, or nothing could ever move.
func (w *wave) fenceposts() (surge, unavailable int32) {
	rolling := w.deployment.Spec.Strategy.RollingUpdate
	if !w.isRolling() {
		return 0, 0
	}
	if rolling != nil {
		surge = resolve(rolling.MaxSurge, w.wanted(), math.Ceil)
		unavailable = resolve(rolling.MaxUnavailable, w.wanted(), math.Floor)
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, unavailable
}

// resolve is a count, or a percentage of replicas. What is neither counts as 0.
func resolve(value *intstr.IntOrString, replicas int32, round func(float64) float64) int32 {
	if value == nil {
		return 0
	}
	if value.Type == intstr.Int {
		return max(0, value.IntVal)
	}
	text, isPercent := strings.CutSuffix(value.StrVal, "%")
	percent, err := strconv.Atoi(text)
	if !isPercent || err != nil {
		return 0
	}
	count := round(float64(percent) * float64(replicas) / 100)
	return int32(min(max(0, count), math.MaxInt32))
}
