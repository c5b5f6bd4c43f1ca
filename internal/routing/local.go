package routing

import (
	discoveryv1 "k8s.io/api/discovery/v1"
)

// LocalReady counts the ready endpoints of a Service on a Node, each once
// however many ports it has: what a load balancer asks healthCheckNodePort for.
func LocalReady(slices []*discoveryv1.EndpointSlice, node string) int {
	found := map[string]bool{}
	for _, slice := range slices {
		if slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if ready && len(endpoint.Addresses) > 0 && endpoint.NodeName != nil && *endpoint.NodeName == node {
				found[endpoint.Addresses[0]] = true
			}
		}
	}
	return len(found)
}
