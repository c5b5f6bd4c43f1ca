package routing

import (
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

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
