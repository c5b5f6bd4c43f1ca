package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ServiceUsage returns what a Service uses.
func ServiceUsage(service *corev1.Service) corev1.ResourceList {
	nodePorts, loadBalancers := 0, 0
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
		nodePorts = len(service.Spec.Ports)
	case corev1.ServiceTypeLoadBalancer:
		loadBalancers = 1
		nodePorts = len(service.Spec.Ports)
		if allocate := service.Spec.AllocateLoadBalancerNodePorts; allocate != nil && !*allocate {
			nodePorts = givenNodePorts(service)
		}
	}
	return corev1.ResourceList{
		corev1.ResourceServices: one(), countPrefix + "services": one(),
		corev1.ResourceServicesNodePorts:     *resource.NewQuantity(int64(nodePorts), resource.DecimalSI),
		corev1.ResourceServicesLoadBalancers: *resource.NewQuantity(int64(loadBalancers), resource.DecimalSI),
	}
}

func givenNodePorts(service *corev1.Service) int {
	count := 0
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			count++
		}
	}
	return count
}
