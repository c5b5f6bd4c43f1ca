package ingress

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// byHostPort is an index of Pods by the TCP ports of this machine that they
// have.
const byHostPort = "coxswain.dev/ingress-host-port"

func indexByHostPort(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	var ports []string
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range containers {
			for _, port := range container.Ports {
				if port.HostPort > 0 && port.Protocol == corev1.ProtocolTCP {
					ports = append(ports, strconv.Itoa(int(port.HostPort)))
				}
			}
		}
	}
	return ports, nil
}

// holder tells which Service or Pod has a port of this machine, "" for none:
// its rules would take what is sent there before the front could see it.
func (f *Front) holder(port string) string {
	for _, item := range f.services.GetStore().List() {
		service := item.(*corev1.Service)
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || len(service.Status.LoadBalancer.Ingress) == 0 {
			continue
		}
		for _, p := range service.Spec.Ports {
			if p.Protocol == corev1.ProtocolTCP && strconv.Itoa(int(p.Port)) == port {
				return fmt.Sprintf("the LoadBalancer Service %s/%s", service.Namespace, service.Name)
			}
		}
	}
	items, err := f.pods.GetIndexer().ByIndex(byHostPort, port)
	if err != nil {
		return "" // there is such an index
	}
	for _, item := range items {
		pod := item.(*corev1.Pod)
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			return fmt.Sprintf("the hostPort of Pod %s/%s", pod.Namespace, pod.Name)
		}
	}
	return ""
}
