package discovery

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"coxswain.dev/cox/internal/apis/core"
)

// The sizes that an EndpointSlice may have at most.
const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
)

// ValidateEndpointSlice checks a slice beyond its metadata.
func ValidateEndpointSlice(slice *discoveryv1.EndpointSlice) field.ErrorList {
	errs := validateAddressType(slice.AddressType)
	errs = append(errs, validateEndpoints(slice.Endpoints, slice.AddressType, field.NewPath("endpoints"))...)
	return append(errs, validatePorts(slice.Ports, field.NewPath("ports"))...)
}

// ValidateEndpointSliceUpdate keeps the type of the addresses.
func ValidateEndpointSliceUpdate(slice, old *discoveryv1.EndpointSlice) field.ErrorList {
	errs := ValidateEndpointSlice(slice)
	return append(errs, apivalidation.ValidateImmutableField(slice.AddressType, old.AddressType, field.NewPath("addressType"))...)
}

func validateAddressType(kind discoveryv1.AddressType) field.ErrorList {
	path := field.NewPath("addressType")
	switch kind {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
		return nil
	case "":
		return field.ErrorList{field.Required(path, "")}
	}
	return field.ErrorList{field.NotSupported(path, kind, []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6})}
}

func validateEndpoints(endpoints []discoveryv1.Endpoint, kind discoveryv1.AddressType, path *field.Path) field.ErrorList {
	if len(endpoints) > maxEndpoints {
		return field.ErrorList{field.TooMany(path, len(endpoints), maxEndpoints)}
	}
	var errs field.ErrorList
	for i, endpoint := range endpoints {
		at := path.Index(i)
		switch count := len(endpoint.Addresses); {
		case count == 0:
			errs = append(errs, field.Required(at.Child("addresses"), "must contain at least 1 address"))
		case count > maxAddresses:
			errs = append(errs, field.TooMany(at.Child("addresses"), count, maxAddresses))
		}
		for n, address := range endpoint.Addresses {
			errs = append(errs, validateAddress(address, kind, at.Child("addresses").Index(n))...)
		}
		if endpoint.NodeName != nil {
			for _, message := range apivalidation.NameIsDNSSubdomain(*endpoint.NodeName, false) {
				errs = append(errs, field.Invalid(at.Child("nodeName"), *endpoint.NodeName, message))
			}
		}
		if endpoint.Hostname != nil {
			for _, message := range validation.IsDNS1123Label(*endpoint.Hostname) {
				errs = append(errs, field.Invalid(at.Child("hostname"), *endpoint.Hostname, message))
			}
		}
	}
	return errs
}

func validateAddress(address string, kind discoveryv1.AddressType, at *field.Path) field.ErrorList {
	if kind == discoveryv1.AddressTypeFQDN {
		return validation.IsFullyQualifiedDomainName(at, address)
	}
	if errs := validation.IsValidIP(at, address); len(errs) > 0 {
		return errs
	}
	parsed, _ := netip.ParseAddr(address) // it is valid
	if is := discoveryv1.AddressTypeIPv6; parsed.Is4() && kind == is || !parsed.Is4() && kind != is {
		return field.ErrorList{field.Invalid(at, address, fmt.Sprintf("must be an %s address", kind))}
	}
	return core.ValidateNonSpecialIP(address, at)
}

func validatePorts(ports []discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if len(ports) > maxPorts {
		return field.ErrorList{field.TooMany(path, len(ports), maxPorts)}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i, port := range ports {
		at := path.Index(i)
		name := ""
		if port.Name != nil {
			name = *port.Name
		}
		if name != "" {
			for _, message := range validation.IsDNS1123Label(name) {
				errs = append(errs, field.Invalid(at.Child("name"), name, message))
			}
		}
		if names.Has(name) {
			errs = append(errs, field.Duplicate(at.Child("name"), name))
		}
		names.Insert(name)
		errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
		if port.AppProtocol != nil {
			for _, message := range validation.IsQualifiedName(*port.AppProtocol) {
				errs = append(errs, field.Invalid(at.Child("appProtocol"), *port.AppProtocol, message))
			}
		}
	}
	return errs
}

func validateProtocol(protocol *corev1.Protocol, path *field.Path) field.ErrorList {
	if protocol == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	switch *protocol {
	case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		return nil
	}
	return field.ErrorList{field.NotSupported(path, *protocol, []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP})}
}
