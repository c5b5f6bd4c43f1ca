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
)

// leadsTo tells whether a Service sends connections to Pods with these labels.
// A headless one leads nobody: its clients go by what names they look up.
func leadsTo(service *corev1.Service, pod *corev1.Pod) bool {
	return service.Namespace == pod.Namespace && len(service.Spec.Selector) > 0 &&
		service.Spec.Type != corev1.ServiceTypeExternalName && service.Spec.ClusterIP != corev1.ClusterIPNone &&
		labels.SelectorFromValidatedSet(service.Spec.Selector).Matches(labels.Set(pod.Labels))
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
		if leadsTo(service, pod) {
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
				return ok && leadsTo(service, pod)
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
