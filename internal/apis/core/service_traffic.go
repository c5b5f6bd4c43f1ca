package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// validateLoadBalancer checks what only load balancers have.
func validateLoadBalancer(service *corev1.Service, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	spec := &service.Spec
	balanced := spec.Type == corev1.ServiceTypeLoadBalancer
	forbid := func(at *field.Path) {
		if !balanced {
			errs = append(errs, field.Forbidden(at, onlyForLoadBalancers))
		}
	}
	if text, annotated := service.Annotations[sourceRangeAnnotation]; len(spec.LoadBalancerSourceRanges) > 0 {
		at := path.Child("LoadBalancerSourceRanges")
		forbid(at)
		for i, value := range spec.LoadBalancerSourceRanges {
			errs = append(errs, validation.IsValidCIDR(at.Index(i), strings.TrimSpace(value))...)
		}
	} else if annotated {
		at := field.NewPath("metadata", "annotations").Key(sourceRangeAnnotation)
		forbid(at)
		for _, value := range strings.Split(strings.TrimSpace(text), ",") {
			if value = strings.TrimSpace(value); value != "" {
				errs = append(errs, validation.IsValidCIDR(at, value)...)
			}
		}
	}
	if spec.AllocateLoadBalancerNodePorts != nil {
		forbid(path.Child("allocateLoadBalancerNodePorts"))
	} else if balanced {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	if spec.LoadBalancerClass != nil {
		forbid(path.Child("loadBalancerClass"))
		if balanced {
			for _, message := range validation.IsQualifiedName(*spec.LoadBalancerClass) {
				errs = append(errs, field.Invalid(path.Child("loadBalancerClass"), *spec.LoadBalancerClass, message))
			}
		}
	}
	return errs
}

// validateTraffic checks which endpoints traffic may go to.
func validateTraffic(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if external := path.Child("externalTrafficPolicy"); externallyAccessible(spec) {
		errs = append(errs, validateEnum(spec.ExternalTrafficPolicy, external, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	} else if spec.ExternalTrafficPolicy != "" {
		errs = append(errs, field.Invalid(external, spec.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	}
	health := path.Child("healthCheckNodePort")
	switch {
	case !WantsHealthCheckPort(spec):
		if spec.HealthCheckNodePort != 0 {
			errs = append(errs, field.Invalid(health, spec.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
		}
	case spec.HealthCheckNodePort == 0:
		errs = append(errs, field.Required(health, ""))
	default:
		for _, message := range validation.IsValidPortNum(int(spec.HealthCheckNodePort)) {
			errs = append(errs, field.Invalid(health, spec.HealthCheckNodePort, message))
		}
	}
	if policy := spec.InternalTrafficPolicy; policy != nil {
		errs = append(errs, validateEnum(*policy, path.Child("internalTrafficPolicy"), corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	} else if spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(path.Child("internalTrafficPolicy"), ""))
	}
	if near := spec.TrafficDistribution; near != nil {
		errs = append(errs, validateEnum(*near, path.Child("trafficDistribution"),
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameNode, corev1.ServiceTrafficDistributionPreferSameZone)...)
	}
	return errs
}

const mayNotChange = "may not change once set"

// ValidateServiceUpdate keeps what has been given: the address, the family,
// the class of load balancer.
func ValidateServiceUpdate(service, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if WantsClusterIP(&service.Spec) && WantsClusterIP(&old.Spec) {
		errs = append(errs, keepFirst(path.Child("clusterIPs"), service.Spec.ClusterIPs, old.Spec.ClusterIPs, "primary clusterIP can not be unset")...)
		if !isHeadless(&service.Spec) && !isHeadless(&old.Spec) {
			errs = append(errs, keepFirst(path.Child("ipFamilies"), service.Spec.IPFamilies, old.Spec.IPFamilies, "primary ipFamily can not be unset")...)
		}
	}
	if service.Spec.Type == corev1.ServiceTypeLoadBalancer && old.Spec.Type == corev1.ServiceTypeLoadBalancer && !ptr.Equal(service.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
		errs = append(errs, field.Invalid(path.Child("loadBalancerClass"), service.Spec.LoadBalancerClass, mayNotChange))
	}
	if WantsHealthCheckPort(&service.Spec) && WantsHealthCheckPort(&old.Spec) && service.Spec.HealthCheckNodePort != old.Spec.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(path.Child("healthCheckNodePort"), "field is immutable"))
	}
	return append(errs, ValidateService(service)...)
}

// keepFirst checks that the first of two values stays; the second may come
// and go.
func keepFirst[T comparable](path *field.Path, values, old []T, unset string) field.ErrorList {
	switch {
	case len(old) == 0:
		return nil
	case len(values) == 0:
		return field.ErrorList{field.Invalid(path.Index(0), values, unset)}
	case values[0] != old[0]:
		return field.ErrorList{field.Invalid(path.Index(0), values, mayNotChange)}
	default:
		return nil
	}
}

// ServiceWarnings are said to who writes a Service whose fields have no effect.
func ServiceWarnings(service *corev1.Service) []string {
	var warnings []string
	if isHeadless(&service.Spec) || service.Spec.ClusterIP == corev1.ClusterIPNone {
		if service.Spec.LoadBalancerIP != "" {
			warnings = append(warnings, `spec.loadBalancerIP is ignored when spec.clusterIP is "None"`)
		}
		if len(service.Spec.ExternalIPs) > 0 {
			warnings = append(warnings, `spec.externalIPs is ignored when spec.clusterIP is "None"`)
		}
		if service.Spec.SessionAffinity != corev1.ServiceAffinityNone {
			warnings = append(warnings, `spec.SessionAffinity is ignored for headless services`)
		}
	}
	return warnings
}

// ValidateServiceStatusUpdate checks what a load balancer reports.
func ValidateServiceStatusUpdate(service *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("status", "loadBalancer", "ingress")
	if len(service.Status.LoadBalancer.Ingress) > 0 && service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(path, "may only be used when `spec.type` is \"LoadBalancer\""))
	}
	for i, ingress := range service.Status.LoadBalancer.Ingress {
		if ingress.IP != "" {
			errs = append(errs, validation.IsValidIP(path.Index(i).Child("ip"), ingress.IP)...)
		}
		if ingress.Hostname == "" {
			continue
		}
		for _, message := range validation.IsDNS1123Subdomain(ingress.Hostname) {
			errs = append(errs, field.Invalid(path.Index(i).Child("hostname"), ingress.Hostname, message))
		}
		if len(validation.IsValidIP(path, ingress.Hostname)) == 0 {
			errs = append(errs, field.Invalid(path.Index(i).Child("hostname"), ingress.Hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}
