package core

import (
	"context"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
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

// maxDrain is the bound in seconds where nobody says another.
const maxDrain = 10

// addDrain notes on a Pod that is deleted with a grace period, in seconds, how
// much longer its connections may take, and returns that.
func addDrain(obj *corev1.Pod, period int64, services []corev1.Service) int64 {
	if !isRouted(obj) || period == 0 {
		return 0
	}
	drain := min(drainBound(obj, services), period)
	metav1.SetMetaDataAnnotation(&obj.ObjectMeta, drainGraceAnnotation, strconv.FormatInt(drain, 10))
	return drain
}

func isRouted(obj *corev1.Pod) bool {
	return slices.ContainsFunc(obj.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == routedCondition })
}

// drainBound is the Pod's own bound in seconds, else the longest of the
// Services that lead to it. The agent goes by the same rule.
func drainBound(obj *corev1.Pod, services []corev1.Service) int64 {
	if text, given := obj.Annotations[drainAnnotation]; given {
		return drainSeconds(text)
	}
	longest, given := int64(0), false
	for i := range services {
		if text := services[i].Annotations[drainAnnotation]; text != "" {
			longest, given = max(longest, drainSeconds(text)), true
		}
	}
	if !given {
		return maxDrain
	}
	return longest
}

func drainSeconds(text string) int64 {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return maxDrain // the agent says so in an event
	}
	return int64(seconds)
}

// storedServices looks at Services from the storage of another kind.
type storedServices struct{ store *genericregistry.Store }

// leadingTo are the Services that send connections to a Pod which is routed,
// as far as the cache knows.
func (s *storedServices) leadingTo(ctx context.Context, pod *corev1.Pod) (leading []corev1.Service) {
	if _, given := pod.Annotations[drainAnnotation]; given || !isRouted(pod) {
		return nil
	}
	ctx = genericapirequest.WithNamespace(ctx, pod.Namespace)
	all := s.store.PredicateFunc(labels.Everything(), fields.Everything())
	list, err := s.store.ListPredicate(ctx, all, &metainternal.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil // then the bound is what it is without them
	}
	for _, service := range list.(*corev1.ServiceList).Items {
		if len(service.Spec.Selector) > 0 && service.Spec.Type != corev1.ServiceTypeExternalName && service.Spec.ClusterIP != corev1.ClusterIPNone &&
			labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			leading = append(leading, service)
		}
	}
	return leading
}
