package networking

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ClassAnnotation is the way in which an Ingress named its class before there
// was a field for it.
const ClassAnnotation = "kubernetes.io/ingress.class"

// ValidateIngress checks an Ingress beyond its metadata.
func ValidateIngress(ingress *networkingv1.Ingress) field.ErrorList {
	path, spec := field.NewPath("spec"), &ingress.Spec
	var errs field.ErrorList
	if len(spec.Rules) == 0 && spec.DefaultBackend == nil {
		errs = append(errs, field.Invalid(path, spec.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if spec.DefaultBackend != nil {
		errs = append(errs, validateBackend(spec.DefaultBackend, path.Child("defaultBackend"))...)
	}
	for i := range spec.Rules {
		errs = append(errs, validateRule(&spec.Rules[i], path.Child("rules").Index(i))...)
	}
	for i := range spec.TLS {
		errs = append(errs, validateTLS(&spec.TLS[i], path.Child("tls").Index(i))...)
	}
	if spec.IngressClassName != nil {
		for _, message := range apivalidation.NameIsDNSSubdomain(*spec.IngressClassName, false) {
			errs = append(errs, field.Invalid(path.Child("ingressClassName"), *spec.IngressClassName, message))
		}
	}
	return errs
}

// ValidateNewIngress checks an Ingress that is created: its two ways to name a
// class must agree.
func ValidateNewIngress(ingress *networkingv1.Ingress) field.ErrorList {
	errs := ValidateIngress(ingress)
	if annotated, ok := ingress.Annotations[ClassAnnotation]; ok && ingress.Spec.IngressClassName != nil && annotated != *ingress.Spec.IngressClassName {
		errs = append(errs, field.Invalid(field.NewPath("annotations").Child(ClassAnnotation), annotated, "must match `ingressClassName` when both are specified"))
	}
	return errs
}

// ValidateIngressStatus checks the addresses that an Ingress is reached at.
func ValidateIngressStatus(status, old *networkingv1.IngressStatus) field.ErrorList {
	var known []string
	for _, point := range old.LoadBalancer.Ingress {
		known = append(known, point.IP)
	}
	var errs field.ErrorList
	for i, point := range status.LoadBalancer.Ingress {
		at := field.NewPath("status", "loadBalancer", "ingress").Index(i)
		if point.IP != "" {
			errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), point.IP, true, known)...)
		}
		if point.Hostname != "" {
			errs = append(errs, validateHost(point.Hostname, at.Child("hostname"))...)
		}
	}
	return errs
}

// validateHost checks a name that has no wildcard.
func validateHost(host string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Subdomain(host) {
		errs = append(errs, field.Invalid(at, host, message))
	}
	return append(errs, refuseAddress(host, at)...)
}

func refuseAddress(host string, at *field.Path) field.ErrorList {
	if _, err := netip.ParseAddr(host); err == nil {
		return field.ErrorList{field.Invalid(at, host, "must be a DNS name, not an IP address")}
	}
	return nil
}

func validateHostOrWildcard(host string, at *field.Path) field.ErrorList {
	check := validation.IsDNS1123Subdomain
	if strings.Contains(host, "*") {
		check = validation.IsWildcardDNS1123Subdomain
	}
	var errs field.ErrorList
	for _, message := range check(host) {
		errs = append(errs, field.Invalid(at, host, message))
	}
	return errs
}

func validateTLS(tls *networkingv1.IngressTLS, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, host := range tls.Hosts {
		errs = append(errs, validateHostOrWildcard(host, at.Child("hosts").Index(i))...)
	}
	if tls.SecretName != "" {
		for _, message := range apivalidation.NameIsDNSSubdomain(tls.SecretName, false) {
			errs = append(errs, field.Invalid(at.Child("secretName"), tls.SecretName, message))
		}
	}
	return errs
}

func validateRule(rule *networkingv1.IngressRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rule.Host != "" {
		errs = append(refuseAddress(rule.Host, at.Child("host")), validateHostOrWildcard(rule.Host, at.Child("host"))...)
	}
	if rule.HTTP == nil {
		return errs
	}
	paths := at.Child("http", "paths")
	if len(rule.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(paths, ""))
	}
	for i := range rule.HTTP.Paths {
		errs = append(errs, validatePath(&rule.HTTP.Paths[i], paths.Index(i))...)
	}
	return errs
}

// Parts of a path that a client's and a server's reading may differ about.
var (
	ambiguousParts = []string{"//", "/./", "/../", "%2f", "%2F"}
	ambiguousEnds  = []string{"/..", "/."}
	pathTypes      = []networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}
)

func validatePath(path *networkingv1.HTTPIngressPath, at *field.Path) field.ErrorList {
	if path.PathType == nil {
		return field.ErrorList{field.Required(at.Child("pathType"), "pathType must be specified")}
	}
	if !slices.Contains(pathTypes, *path.PathType) {
		return append(field.ErrorList{field.NotSupported(at.Child("pathType"), *path.PathType, pathTypes)}, validateBackend(&path.Backend, at.Child("backend"))...)
	}
	var errs field.ErrorList
	refuse := func(format string, args ...any) {
		errs = append(errs, field.Invalid(at.Child("path"), path.Path, fmt.Sprintf(format, args...)))
	}
	free := *path.PathType == networkingv1.PathTypeImplementationSpecific
	if !strings.HasPrefix(path.Path, "/") && (path.Path != "" || !free) {
		refuse("must be an absolute path")
	}
	if !free {
		for _, part := range ambiguousParts {
			if strings.Contains(path.Path, part) {
				refuse("must not contain '%s'", part)
			}
		}
		for _, end := range ambiguousEnds {
			if strings.HasSuffix(path.Path, end) {
				refuse("cannot end with '%s'", end)
			}
		}
	}
	return append(errs, validateBackend(&path.Backend, at.Child("backend"))...)
}
