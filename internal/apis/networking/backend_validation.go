package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateBackend(backend *networkingv1.IngressBackend, at *field.Path) field.ErrorList {
	switch {
	case backend.Resource != nil && backend.Service != nil:
		return field.ErrorList{field.Invalid(at, "", "cannot set both resource and service backends")}
	case backend.Resource != nil:
		return validateResourceBackend(backend.Resource, at.Child("resource"))
	case backend.Service != nil:
		return validateServiceBackend(backend.Service, at)
	}
	return field.ErrorList{field.Invalid(at, "", "resource or service backend is required")}
}

func validateServiceBackend(service *networkingv1.IngressServiceBackend, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if service.Name == "" {
		errs = append(errs, field.Required(at.Child("service", "name"), ""))
	} else {
		for _, message := range apivalidation.NameIsDNS1035Label(service.Name, false) {
			errs = append(errs, field.Invalid(at.Child("service", "name"), service.Name, message))
		}
	}
	port := at.Child("service", "port")
	switch name, number := service.Port.Name, service.Port.Number; {
	case name != "" && number != 0:
		errs = append(errs, field.Invalid(at, "", "cannot set both port name & port number"))
	case name != "":
		for _, message := range validation.IsValidPortName(name) {
			errs = append(errs, field.Invalid(port.Child("name"), name, message))
		}
	case number != 0:
		for _, message := range validation.IsValidPortNum(int(number)) {
			errs = append(errs, field.Invalid(port.Child("number"), number, message))
		}
	default:
		errs = append(errs, field.Required(at, "port name or number is required"))
	}
	return errs
}

func validateResourceBackend(resource *corev1.TypedLocalObjectReference, at *field.Path) field.ErrorList {
	return validateReference(resource.APIGroup, resource.Kind, resource.Name, at)
}

// validateReference checks what names an object of any kind.
func validateReference(group *string, kind, name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if group != nil {
		for _, message := range validation.IsDNS1123Subdomain(*group) {
			errs = append(errs, field.Invalid(at.Child("apiGroup"), *group, message))
		}
	}
	for _, part := range []struct{ field, value string }{{"kind", kind}, {"name", name}} {
		if part.value == "" {
			errs = append(errs, field.Required(at.Child(part.field), ""))
			continue
		}
		for _, message := range content.IsPathSegmentName(part.value) {
			errs = append(errs, field.Invalid(at.Child(part.field), part.value, message))
		}
	}
	return errs
}
