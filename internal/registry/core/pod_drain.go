package core

import (
	"context"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	"coxswain.dev/cox/internal/podlifecycle"
	"coxswain.dev/cox/internal/routing"
)

// Of a Pod that a Service leads to, the connections are waited for before it
// is told to stop (SPEC N4). The agent says by a condition which Pods those
// are, and the API gives them the time: both go by the same rule.

// addDrain notes on a Pod that is deleted with a grace period, in seconds, how
// much longer its connections may take, and returns that.
func addDrain(obj *corev1.Pod, period int64, services []podlifecycle.Service) int64 {
	if !isRouted(obj) || period == 0 {
		return 0
	}
	bound, _ := podlifecycle.DrainBound(obj, services) // the agent says what is wrong
	drain := min(int64(bound/time.Second), period)
	metav1.SetMetaDataAnnotation(&obj.ObjectMeta, podlifecycle.DrainGraceAnnotation, strconv.FormatInt(drain, 10))
	return drain
}

func isRouted(obj *corev1.Pod) bool {
	return slices.ContainsFunc(obj.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == podlifecycle.RoutedCondition })
}

// storedServices looks at Services from the storage of another kind.
type storedServices struct{ store *genericregistry.Store }

// leadingTo are the Services that send connections to a Pod which is routed,
// as far as the cache knows.
func (s *storedServices) leadingTo(ctx context.Context, pod *corev1.Pod) (leading []podlifecycle.Service) {
	if _, given := pod.Annotations[podlifecycle.DrainAnnotation]; given || !isRouted(pod) {
		return nil
	}
	ctx = genericapirequest.WithNamespace(ctx, pod.Namespace)
	all := s.store.PredicateFunc(labels.Everything(), fields.Everything())
	list, err := s.store.ListPredicate(ctx, all, &metainternal.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil // then the bound is what it is without them
	}
	for i := range list.(*corev1.ServiceList).Items {
		if service := &list.(*corev1.ServiceList).Items[i]; routing.LeadsTo(service, pod) {
			leading = append(leading, podlifecycle.Service{Name: service.Name, Drain: service.Annotations[podlifecycle.DrainAnnotation]})
		}
	}
	return leading
}
