package routing

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Lists tells whether a Service has a Pod with these labels as an endpoint.
func Lists(service *corev1.Service, pod *corev1.Pod) bool {
	return service.Namespace == pod.Namespace && len(service.Spec.Selector) > 0 && service.Spec.Type != corev1.ServiceTypeExternalName &&
		labels.SelectorFromValidatedSet(service.Spec.Selector).Matches(labels.Set(pod.Labels))
}

// LeadsTo tells whether a Service sends connections to a Pod with these labels.
// A headless one leads nobody: its clients go by what names they look up. Of one
// that is another proxy's, nobody here knows.
func LeadsTo(service *corev1.Service, pod *corev1.Pod) bool {
	return service.Spec.ClusterIP != corev1.ClusterIPNone && service.Labels[proxyNameLabel] == "" && Lists(service, pod)
}

// Leaving is a Pod that is to stop when nobody is led to it any more.
type Leaving struct {
	IP  netip.Addr
	UID types.UID
	// Services (namespace/name) have listed the Pod as ready, or are about to:
	// their EndpointSlices are written by somebody who learns later than the
	// Pod's node that it is to stop. Not to find the Pod in them says nothing;
	// only that it is listed as terminating does.
	Services []string
}

// Terminating are the Pods that slices of one Service list as on their way out,
// in every place in which they are listed.
func Terminating(slices []*discoveryv1.EndpointSlice) map[types.UID]bool {
	var terminating map[types.UID]bool
	for _, slice := range slices {
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			if endpoint.TargetRef == nil || !value(endpoint.Conditions.Terminating) {
				continue
			}
			if terminating == nil {
				terminating = map[types.UID]bool{}
			}
			terminating[endpoint.TargetRef.UID] = true
		}
	}
	if len(terminating) == 0 {
		return nil
	}
	for _, slice := range slices {
		for i := range slice.Endpoints {
			if endpoint := &slice.Endpoints[i]; endpoint.TargetRef != nil && !value(endpoint.Conditions.Terminating) {
				delete(terminating, endpoint.TargetRef.UID)
			}
		}
	}
	return terminating
}
