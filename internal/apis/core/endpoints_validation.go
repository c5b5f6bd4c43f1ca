package core

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateEndpoints checks defaulted Endpoints; old is nil on create.
func ValidateEndpoints(endpoints, old *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	nodes := map[string]string{}
	if old != nil {
		nodes = nodesOf(old)
	}
	for i, subset := range endpoints.Subsets {
		at := field.NewPath("subsets").Index(i)
		if len(subset.Addresses) == 0 && len(subset.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j, address := range subset.Addresses {
			errs = append(errs, validateEndpointAddress(address, nodes, at.Child("addresses").Index(j))...)
		}
		for j, address := range subset.NotReadyAddresses {
			errs = append(errs, validateEndpointAddress(address, nodes, at.Child("notReadyAddresses").Index(j))...)
		}
		for j, port := range subset.Ports {
			errs = append(errs, validateEndpointPort(port, len(subset.Ports) > 1, at.Child("ports").Index(j))...)
		}
	}
	return errs
}

// nodesOf returns the nodes of addresses that name one: they may not move.
func nodesOf(endpoints *corev1.Endpoints) map[string]string {
	nodes := map[string]string{}
	for _, subset := range endpoints.Subsets {
		for _, addresses := range [][]corev1.EndpointAddress{subset.Addresses, subset.NotReadyAddresses} {
			for _, address := range addresses {
				if address.NodeName != nil {
					nodes[address.IP] = *address.NodeName
				}
			}
		}
	}
	return nodes
}

func validateEndpointAddress(address corev1.EndpointAddress, nodes map[string]string, at *field.Path) field.ErrorList {
	errs := validation.IsValidIP(at.Child("ip"), address.IP)
	if address.Hostname != "" {
		for _, message := range validation.IsDNS1123Label(address.Hostname) {
			errs = append(errs, field.Invalid(at.Child("hostname"), address.Hostname, message))
		}
	}
	if address.NodeName != nil {
		for _, message := range apivalidation.NameIsDNSSubdomain(*address.NodeName, false) {
			errs = append(errs, field.Invalid(at.Child("nodeName"), *address.NodeName, message))
		}
		if before, known := nodes[address.IP]; known && before != *address.NodeName {
			errs = append(errs, field.Forbidden(at.Child("nodeName"), fmt.Sprintf("Cannot change NodeName for %s to %s", address.IP, *address.NodeName)))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return ValidateNonSpecialIP(address.IP, at.Child("ip"))
}

// validateEndpointIP checks an address that traffic may be sent to.
func validateEndpointIP(ip string, at *field.Path) field.ErrorList {
	if errs := validation.IsValidIP(at, ip); len(errs) > 0 {
		return errs
	}
	return ValidateNonSpecialIP(ip, at)
}

// ValidateNonSpecialIP refuses addresses that mean something else on every
// machine.
func ValidateNonSpecialIP(ip string, at *field.Path) field.ErrorList {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return field.ErrorList{field.Invalid(at, ip, "must be a valid IP address")}
	}
	var errs field.ErrorList
	for _, special := range []struct {
		is      bool
		message string
	}{
		{addr.IsUnspecified(), fmt.Sprintf("may not be unspecified (%s)", ip)},
		{addr.IsLoopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
		{addr.IsLinkLocalUnicast(), "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
		{addr.IsLinkLocalMulticast(), "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
	} {
		if special.is {
			errs = append(errs, field.Invalid(at, ip, special.message))
		}
	}
	return errs
}

func validateEndpointPort(port corev1.EndpointPort, named bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if port.Name == "" && named {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else if port.Name != "" {
		for _, message := range validation.IsDNS1123Label(port.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), port.Name, message))
		}
	}
	for _, message := range validation.IsValidPortNum(int(port.Port)) {
		errs = append(errs, field.Invalid(at.Child("port"), port.Port, message))
	}
	errs = append(errs, validateEnum(port.Protocol, at.Child("protocol"), corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	if port.AppProtocol != nil {
		for _, message := range validation.IsQualifiedName(*port.AppProtocol) {
			errs = append(errs, field.Invalid(at.Child("appProtocol"), *port.AppProtocol, message))
		}
	}
	return errs
}
