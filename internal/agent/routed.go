package agent

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/podlifecycle"
	"coxswain.dev/cox/internal/routing"
)

// listedBy are the Services that may offer a Pod which stops: those that list
// it, if it has been ready or they do not ask for that. Of a Pod that the API
// no longer has, nothing more is written.
func (w *worker) listedBy(pod *corev1.Pod) []string {
	w.mu.Lock()
	wasReady, gone := w.wasReady, w.gone
	w.mu.Unlock()
	services, err := w.agent.services.Services(pod.Namespace).List(labels.Everything())
	if err != nil || gone {
		return nil // a cache gives no error
	}
	var names []string
	for _, service := range services {
		if routing.Lists(service, pod) && (wasReady || service.Spec.PublishNotReadyAddresses) {
			names = append(names, service.Namespace+"/"+service.Name)
		}
	}
	slices.Sort(names)
	return names
}

func showsReady(status *corev1.PodStatus) bool {
	return slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// servicesOf are the Services that lead to a Pod, sorted; none if nobody
// routes on this node.
func (a *Agent) servicesOf(pod *corev1.Pod) []podlifecycle.Service {
	if a.config.Router == nil {
		return nil
	}
	services, err := a.services.Services(pod.Namespace).List(labels.Everything())
	if err != nil {
		return nil // a cache gives no error
	}
	var found []podlifecycle.Service
	for _, service := range services {
		if routing.LeadsTo(service, pod) {
			found = append(found, podlifecycle.Service{
				Name: service.Namespace + "/" + service.Name, Drain: service.Annotations[podlifecycle.DrainAnnotation],
			})
		}
	}
	slices.SortFunc(found, func(a, b podlifecycle.Service) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// followServices has those Pods decided about again to which a change of a
// Service matters.
func (a *Agent) followServices(services cache.SharedIndexInformer) error {
	tell := func(objects ...any) {
		for _, w := range a.allWorkers() {
			pod := w.newest()
			if slices.ContainsFunc(objects, func(object any) bool {
				if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = gone.Obj
				}
				service, ok := object.(*corev1.Service)
				return ok && routing.LeadsTo(service, pod)
			}) {
				w.nudge()
			}
		}
	}
	_, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell(object) },
		UpdateFunc: func(old, new any) { tell(old, new) },
		DeleteFunc: func(object any) { tell(object) },
	})
	return err
}

// route waits, for routeLimit at most, until clients can reach the Pod.
func (w *worker) route(ctx context.Context, action podlifecycle.Route) {
	ctx, cancel := context.WithTimeout(ctx, routeLimit)
	defer cancel()
	ip, err := netip.ParseAddr(action.IP)
	if err == nil {
		err = w.agent.config.Router.Routed(ctx, ip, action.Services)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routed = podlifecycle.RoutedByAll
	if err != nil {
		w.routed = podlifecycle.RoutedLate
		w.log.Warn("the proxy did not say in time that the Pod gets connections; counting it as available all the same", "error", err)
	}
}
