package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// kubeletPort must not be exposed: some clouds would open it to all.
	kubeletPort           = 10250
	maxAffinitySeconds    = 86400
	onlyForLoadBalancers  = "may only be used when `type` is 'LoadBalancer'"
	notForExternalNames   = "may not be set for ExternalName services"
	sourceRangeAnnotation = corev1.AnnotationLoadBalancerSourceRangesKey
)

// ValidateService checks a defaulted Service that has its addresses.
func ValidateService(service *corev1.Service) field.ErrorList {
	path := field.NewPath("spec")
	spec := &service.Spec
	var errs field.ErrorList
	if len(spec.Ports) == 0 && !isHeadless(spec) && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(path.Child("ports"), ""))
	}
	errs = append(errs, validateByType(spec, path)...)
	errs = append(errs, validateServicePorts(spec, path.Child("ports"))...)
	errs = append(errs, metav1validation.ValidateLabels(spec.Selector, path.Child("selector"))...)
	errs = append(errs, validateAffinity(spec, path)...)
	errs = append(errs, validateClusterIPs(spec)...)
	for i, ip := range spec.ExternalIPs {
		errs = append(errs, validateEndpointIP(ip, path.Child("externalIPs").Index(i))...)
	}
	errs = append(errs, validateEnum(spec.Type, path.Child("type"),
		corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	errs = append(errs, validateLoadBalancer(service, path)...)
	return append(errs, validateTraffic(spec, path)...)
}

func isHeadless(spec *corev1.ServiceSpec) bool {
	return len(spec.ClusterIPs) == 1 && spec.ClusterIPs[0] == corev1.ClusterIPNone
}

func validateByType(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		for i, port := range spec.Ports {
			if spec.Type == corev1.ServiceTypeLoadBalancer && port.Port == kubeletPort {
				errs = append(errs, field.Invalid(path.Child("ports").Index(i), port.Port, fmt.Sprintf("may not expose port %v externally since it is used by kubelet", kubeletPort)))
			}
		}
		if isHeadless(spec) {
			errs = append(errs, field.Invalid(path.Child("clusterIPs").Index(0), spec.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", spec.Type)))
		}
	case corev1.ServiceTypeExternalName:
		if len(spec.ClusterIPs) > 0 || spec.ClusterIP != "" {
			errs = append(errs, field.Forbidden(path.Child("clusterIPs"), notForExternalNames))
		}
		if len(spec.IPFamilies) > 0 {
			errs = append(errs, field.Forbidden(path.Child("ipFamilies"), notForExternalNames))
		}
		if spec.IPFamilyPolicy != nil {
			errs = append(errs, field.Forbidden(path.Child("ipFamilyPolicy"), notForExternalNames))
		}
		// A trailing dot says that the name is complete.
		name := strings.TrimSuffix(spec.ExternalName, ".")
		if name == "" {
			return append(errs, field.Required(path.Child("externalName"), ""))
		}
		for _, message := range validation.IsDNS1123Subdomain(name) {
			errs = append(errs, field.Invalid(path.Child("externalName"), name, message))
		}
	}
	return errs
}

func validateAffinity(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	errs := validateEnum(spec.SessionAffinity, path.Child("sessionAffinity"), corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	config, at := spec.SessionAffinityConfig, path.Child("sessionAffinityConfig")
	if spec.SessionAffinity == corev1.ServiceAffinityNone && config != nil {
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("must not be set when session affinity is %s", corev1.ServiceAffinityNone)))
	}
	if spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return errs
	}
	required := fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)
	switch {
	case config == nil:
		errs = append(errs, field.Required(at, required))
	case config.ClientIP == nil:
		errs = append(errs, field.Required(at.Child("clientIP"), required))
	case config.ClientIP.TimeoutSeconds == nil:
		errs = append(errs, field.Required(at.Child("clientIP", "timeoutSeconds"), required))
	case *config.ClientIP.TimeoutSeconds <= 0 || *config.ClientIP.TimeoutSeconds > maxAffinitySeconds:
		errs = append(errs, field.Invalid(at.Child("clientIP", "timeoutSeconds"), *config.ClientIP.TimeoutSeconds,
			fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds)))
	}
	return errs
}

func validateServicePorts(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, ports, nodePorts := sets.New[string](), sets.New[corev1.ServicePort](), sets.New[corev1.ServicePort]()
	for i, port := range spec.Ports {
		at := path.Index(i)
		errs = append(errs, validateServicePort(port, len(spec.Ports) > 1, names, at)...)
		if spec.Type == corev1.ServiceTypeClusterIP && port.NodePort != 0 {
			errs = append(errs, field.Forbidden(at.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		if key := (corev1.ServicePort{Protocol: port.Protocol, NodePort: port.NodePort}); port.NodePort != 0 && nodePorts.Has(key) {
			errs = append(errs, field.Duplicate(at.Child("nodePort"), port.NodePort))
		} else {
			nodePorts.Insert(key)
		}
		if key := (corev1.ServicePort{Protocol: port.Protocol, Port: port.Port}); ports.Has(key) {
			errs = append(errs, field.Duplicate(at, key))
		} else {
			ports.Insert(key)
		}
	}
	return errs
}

func validateServicePort(port corev1.ServicePort, named bool, names sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case port.Name == "" && named:
		errs = append(errs, field.Required(at.Child("name"), ""))
	case port.Name != "":
		for _, message := range validation.IsDNS1123Label(port.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), port.Name, message))
		}
		if names.Has(port.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), port.Name))
		}
		names.Insert(port.Name)
	}
	for _, message := range validation.IsValidPortNum(int(port.Port)) {
		errs = append(errs, field.Invalid(at.Child("port"), port.Port, message))
	}
	errs = append(errs, validateEnum(port.Protocol, at.Child("protocol"), corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	errs = append(errs, validatePortRef(port.TargetPort, at.Child("targetPort"))...)
	if port.AppProtocol != nil {
		for _, message := range validation.IsQualifiedName(*port.AppProtocol) {
			errs = append(errs, field.Invalid(at.Child("appProtocol"), *port.AppProtocol, message))
		}
	}
	return errs
}
