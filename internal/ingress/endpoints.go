package ingress

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// byService is an index of EndpointSlices by the key of their Service.
const byService = "coxswain.dev/ingress-service"

func indexByService(object any) ([]string, error) {
	if slice, ok := object.(*discoveryv1.EndpointSlice); ok && slice.Labels[discoveryv1.LabelServiceName] != "" {
		return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
	}
	return nil, nil
}

// appProtocolCleartext2 is HTTP/2 without TLS (KEP-3726).
const appProtocolCleartext2 = "kubernetes.io/h2c"

// lookUp finds where a Backend is served.
func lookUp(services cache.Store, slices cache.Indexer, b Backend) endpoints {
	key := b.Namespace + "/" + b.Service
	item, exists, err := services.GetByKey(key)
	if err != nil || !exists {
		return endpoints{trouble: "does not exist"}
	}
	service := item.(*corev1.Service)
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return endpoints{trouble: "is an ExternalName: it has no Pods to send requests to"}
	}
	port := portOf(service, b)
	if port == nil {
		return endpoints{trouble: fmt.Sprintf("has no port %s", portText(b))}
	}
	found := endpoints{portKnown: true, trouble: "has no ready endpoint"}
	items, err := slices.ByIndex(byService, key)
	if err != nil {
		return found // there is such an index
	}
	for _, item := range items {
		found.add(item.(*discoveryv1.EndpointSlice), port)
	}
	return found
}

func portText(b Backend) string {
	if b.PortName != "" {
		return fmt.Sprintf("%q", b.PortName)
	}
	return fmt.Sprint(b.Port)
}

func portOf(service *corev1.Service, b Backend) *corev1.ServicePort {
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			continue
		}
		if b.PortName != "" && port.Name == b.PortName || b.PortName == "" && port.Port == b.Port {
			return port
		}
	}
	return nil
}

// add takes the endpoints of one slice. A slice names its ports as the Service
// does, and has the numbers that the Pods listen on.
func (e *endpoints) add(slice *discoveryv1.EndpointSlice, port *corev1.ServicePort) {
	if slice.AddressType == discoveryv1.AddressTypeFQDN {
		return
	}
	for _, p := range slice.Ports {
		if p.Port == nil || p.Name == nil && port.Name != "" || p.Name != nil && *p.Name != port.Name {
			continue
		}
		t := target{cleartext2: port.AppProtocol != nil && *port.AppProtocol == appProtocolCleartext2}
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			if len(endpoint.Addresses) == 0 {
				continue
			}
			address, err := netip.ParseAddr(endpoint.Addresses[0])
			if err != nil {
				continue
			}
			t.address = netip.AddrPortFrom(address, uint16(*p.Port))
			switch conditions := endpoint.Conditions; {
			case conditions.Ready == nil || *conditions.Ready:
				e.ready = append(e.ready, t)
			case isTrue(conditions.Serving) && isTrue(conditions.Terminating):
				e.leaving = append(e.leaving, t)
			}
		}
	}
}

func isTrue(condition *bool) bool { return condition != nil && *condition }
