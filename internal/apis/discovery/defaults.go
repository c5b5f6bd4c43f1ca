package discovery

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// AddDefaults registers the defaults of every discovery.k8s.io/v1 kind with scheme.
func AddDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&discoveryv1.EndpointSlice{}, func(obj any) { SetEndpointSliceDefaults(obj.(*discoveryv1.EndpointSlice)) })
	scheme.AddTypeDefaultingFunc(&discoveryv1.EndpointSliceList{}, func(obj any) {
		for i := range obj.(*discoveryv1.EndpointSliceList).Items {
			SetEndpointSliceDefaults(&obj.(*discoveryv1.EndpointSliceList).Items[i])
		}
	})
}

// SetEndpointSliceDefaults fills in what a slice's ports leave out.
func SetEndpointSliceDefaults(slice *discoveryv1.EndpointSlice) {
	for i := range slice.Ports {
		if slice.Ports[i].Name == nil {
			slice.Ports[i].Name = ptr.To("")
		}
		if slice.Ports[i].Protocol == nil {
			slice.Ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}
