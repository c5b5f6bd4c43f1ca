package core

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Of a Pod that a Service leads to, the connections are waited for before it
// is told to stop (SPEC N4). The agent says by a condition which Pods those
// are, users by an annotation how long that may take.
const (
	routedCondition corev1.PodConditionType = "coxswain.dev/routed"
	drainAnnotation                         = "coxswain.dev/drain-seconds"
	// drainGraceAnnotation notes how many seconds of
	// deletionGracePeriodSeconds are for that.
	drainGraceAnnotation = "coxswain.dev/drain-grace-seconds"
)

// maxDrain is the bound in seconds where the Pod does not say another.
const maxDrain = 10

// addDrain notes on a Pod that is deleted with a grace period, in seconds, how
// much longer its connections may take, and returns that.
func addDrain(obj *corev1.Pod, period int64) int64 {
	isRouted := slices.ContainsFunc(obj.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == routedCondition })
	if !isRouted || period == 0 {
		return 0
	}
	bound := int64(maxDrain)
	if given, err := strconv.ParseUint(obj.Annotations[drainAnnotation], 10, 31); err == nil {
		bound = int64(given)
	}
	drain := min(bound, period)
	metav1.SetMetaDataAnnotation(&obj.ObjectMeta, drainGraceAnnotation, strconv.FormatInt(drain, 10))
	return drain
}
