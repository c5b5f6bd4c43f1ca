package environ

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Services are the variables by which a container finds Services: those of
// its namespace if links is set, and always the API's own, in default.
func Services(all []*corev1.Service, namespace string, links bool) map[string]string {
	chosen := map[string]*corev1.Service{}
	for _, service := range all {
		if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		api := service.Namespace == corev1.NamespaceDefault && service.Name == "kubernetes"
		switch {
		case api && chosen[service.Name] == nil:
			chosen[service.Name] = service
		case service.Namespace == namespace && links:
			chosen[service.Name] = service
		}
	}
	vars := map[string]string{}
	for _, service := range chosen {
		addService(vars, service)
	}
	return vars
}

func addService(vars map[string]string, service *corev1.Service) {
	prefix := variable(service.Name)
	ip := service.Spec.ClusterIP
	ports := slices.Clone(service.Spec.Ports)
	if len(ports) == 0 {
		return
	}
	vars[prefix+"_SERVICE_HOST"] = ip
	vars[prefix+"_SERVICE_PORT"] = fmt.Sprint(ports[0].Port)
	for i, port := range ports {
		number := fmt.Sprint(port.Port)
		if port.Name != "" {
			vars[prefix+"_SERVICE_PORT_"+variable(port.Name)] = number
		}
		protocol := string(port.Protocol)
		if protocol == "" {
			protocol = string(corev1.ProtocolTCP)
		}
		url := strings.ToLower(protocol) + "://" + net.JoinHostPort(ip, number)
		if i == 0 {
			vars[prefix+"_PORT"] = url
		}
		one := prefix + "_PORT_" + number + "_" + strings.ToUpper(protocol)
		vars[one] = url
		vars[one+"_PROTO"] = strings.ToLower(protocol)
		vars[one+"_PORT"] = number
		vars[one+"_ADDR"] = ip
	}
}

func variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
