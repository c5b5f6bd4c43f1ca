package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// addConfigurationDefaults registers the defaults of what configures Pods and
// namespaces, and of what is listed about Services.
func addConfigurationDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&corev1.Secret{}, func(obj any) {
		setIfEmpty(&obj.(*corev1.Secret).Type, corev1.SecretTypeOpaque)
	})
	scheme.AddTypeDefaultingFunc(&corev1.SecretList{}, func(obj any) {
		for i := range obj.(*corev1.SecretList).Items {
			setIfEmpty(&obj.(*corev1.SecretList).Items[i].Type, corev1.SecretTypeOpaque)
		}
	})
	scheme.AddTypeDefaultingFunc(&corev1.LimitRange{}, func(obj any) { SetLimitRangeDefaults(obj.(*corev1.LimitRange)) })
	scheme.AddTypeDefaultingFunc(&corev1.LimitRangeList{}, func(obj any) {
		for i := range obj.(*corev1.LimitRangeList).Items {
			SetLimitRangeDefaults(&obj.(*corev1.LimitRangeList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&corev1.Endpoints{}, func(obj any) { SetEndpointsDefaults(obj.(*corev1.Endpoints)) })
	scheme.AddTypeDefaultingFunc(&corev1.EndpointsList{}, func(obj any) {
		for i := range obj.(*corev1.EndpointsList).Items {
			SetEndpointsDefaults(&obj.(*corev1.EndpointsList).Items[i])
		}
	})
}

// SetLimitRangeDefaults derives what containers get from their bounds: the
// default limit is the maximum, the default request the default limit or else
// the minimum.
func SetLimitRangeDefaults(limits *corev1.LimitRange) {
	for i := range limits.Spec.Limits {
		item := &limits.Spec.Limits[i]
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		complete(&item.Default, item.Max)
		complete(&item.DefaultRequest, item.Default)
		complete(&item.DefaultRequest, item.Min)
	}
}

// complete adds to list what it lacks of from.
func complete(list *corev1.ResourceList, from corev1.ResourceList) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	for name, quantity := range from {
		if _, set := (*list)[name]; !set {
			(*list)[name] = quantity.DeepCopy()
		}
	}
}

// SetEndpointsDefaults makes TCP the protocol of ports that name none.
func SetEndpointsDefaults(endpoints *corev1.Endpoints) {
	for i := range endpoints.Subsets {
		for j := range endpoints.Subsets[i].Ports {
			setIfEmpty(&endpoints.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}
