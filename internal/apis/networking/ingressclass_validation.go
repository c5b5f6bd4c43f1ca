package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxControllerLength is how long a controller's name may be.
const maxControllerLength = 250

// ValidateIngressClass checks a class beyond its metadata.
func ValidateIngressClass(class *networkingv1.IngressClass) field.ErrorList {
	path := field.NewPath("spec")
	var errs field.ErrorList
	if controller := class.Spec.Controller; controller == "" {
		errs = append(errs, field.Required(path.Child("controller"), ""))
	} else {
		if len(controller) > maxControllerLength {
			errs = append(errs, field.TooLong(path.Child("controller"), controller, maxControllerLength))
		}
		errs = append(errs, validation.IsDomainPrefixedPath(path.Child("controller"), controller)...)
	}
	if class.Spec.Parameters != nil {
		errs = append(errs, validateParameters(class.Spec.Parameters, path.Child("parameters"))...)
	}
	return errs
}

// ValidateIngressClassUpdate keeps the controller of a class.
func ValidateIngressClassUpdate(class, old *networkingv1.IngressClass) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(class.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))
	return append(errs, ValidateIngressClass(class)...)
}

func validateParameters(parameters *networkingv1.IngressClassParametersReference, at *field.Path) field.ErrorList {
	errs := validateReference(parameters.APIGroup, parameters.Kind, parameters.Name, at)
	if parameters.Scope == nil {
		return append(errs, field.Required(at.Child("scope"), ""))
	}
	namespace := at.Child("namespace")
	switch *parameters.Scope {
	case networkingv1.IngressClassParametersReferenceScopeNamespace:
		if parameters.Namespace == nil {
			return append(errs, field.Required(namespace, "`parameters.scope` is set to 'Namespace'"))
		}
		for _, message := range apivalidation.ValidateNamespaceName(*parameters.Namespace, false) {
			errs = append(errs, field.Invalid(namespace, *parameters.Namespace, message))
		}
	case networkingv1.IngressClassParametersReferenceScopeCluster:
		if parameters.Namespace != nil {
			errs = append(errs, field.Forbidden(namespace, "`parameters.scope` is set to 'Cluster'"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("scope"), *parameters.Scope, []string{networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace}))
	}
	return errs
}
