package core

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// CompleteFamilies sets the IP families of a Service and their policy, on a
// cluster that has addresses of one family only.
func CompleteFamilies(service, old *corev1.Service, family corev1.IPFamily) field.ErrorList {
	spec := &service.Spec
	if !WantsClusterIP(spec) {
		return nil
	}
	headlessWithoutSelector := spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0
	if spec.IPFamilyPolicy == nil {
		switch {
		case old != nil && old.Spec.IPFamilyPolicy != nil:
			spec.IPFamilyPolicy = ptr.To(*old.Spec.IPFamilyPolicy)
		case headlessWithoutSelector:
			// Who keeps the endpoints by hand may keep them in both.
			spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
		default:
			spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicySingleStack)
		}
	}
	if errs := validateClusterIPs(spec); len(errs) > 0 {
		return errs
	}
	if errs := checkFamilies(spec, family, headlessWithoutSelector); len(errs) > 0 {
		return errs
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{family}
	}
	if headlessWithoutSelector && len(spec.IPFamilies) == 1 && *spec.IPFamilyPolicy != corev1.IPFamilyPolicySingleStack {
		spec.IPFamilies = append(spec.IPFamilies, other(spec.IPFamilies[0]))
	}
	return nil
}

func other(family corev1.IPFamily) corev1.IPFamily {
	if family == corev1.IPv4Protocol {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

// checkFamilies complains about families that the cluster does not have.
func checkFamilies(spec *corev1.ServiceSpec, family corev1.IPFamily, headlessWithoutSelector bool) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if *spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack {
		const message = "must be 'RequireDualStack' or 'PreferDualStack' when multiple %s are specified"
		if len(spec.ClusterIPs) == 2 {
			errs = append(errs, field.Invalid(path.Child("ipFamilyPolicy"), spec.IPFamilyPolicy, fmt.Sprintf(message, "cluster IPs")))
		}
		if len(spec.IPFamilies) == 2 {
			errs = append(errs, field.Invalid(path.Child("ipFamilyPolicy"), spec.IPFamilyPolicy, fmt.Sprintf(message, "IP families")))
		}
	}
	for i, text := range spec.ClusterIPs {
		if addr, err := netip.ParseAddr(text); err == nil && i >= len(spec.IPFamilies) && familyOf(addr) != family {
			errs = append(errs, field.Invalid(path.Child("clusterIPs").Index(i), spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", familyOf(addr))))
		}
	}
	if len(errs) > 0 || headlessWithoutSelector {
		return errs
	}
	if *spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack {
		errs = append(errs, field.Invalid(path.Child("ipFamilyPolicy"), spec.IPFamilyPolicy, "this cluster is not configured for dual-stack services"))
	}
	for i, wanted := range spec.IPFamilies {
		if wanted != family {
			errs = append(errs, field.Invalid(path.Child("ipFamilies").Index(i), wanted, "not configured on this cluster"))
		}
	}
	return errs
}

func familyOf(addr netip.Addr) corev1.IPFamily {
	if addr.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// validateClusterIPs checks clusterIP, clusterIPs, ipFamilies and
// ipFamilyPolicy against each other.
func validateClusterIPs(spec *corev1.ServiceSpec) field.ErrorList {
	if !WantsClusterIP(spec) {
		return nil
	}
	var errs field.ErrorList
	path := field.NewPath("spec")
	ips := path.Child("clusterIPs")
	switch {
	case spec.ClusterIP != "" && len(spec.ClusterIPs) == 0:
		errs = append(errs, field.Required(ips, ""))
	case spec.ClusterIP != "" && spec.ClusterIPs[0] != spec.ClusterIP:
		errs = append(errs, field.Invalid(ips, spec.ClusterIPs, "first value must match `clusterIP`"))
	case spec.ClusterIP == "" && len(spec.ClusterIPs) > 0:
		errs = append(errs, field.Invalid(ips, spec.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	}
	for i, family := range spec.IPFamilies {
		errs = append(errs, validateEnum(family, path.Child("ipFamilies").Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if slices.Contains(spec.IPFamilies[:i], family) {
			errs = append(errs, field.Duplicate(path.Child("ipFamilies").Index(i), family))
		}
	}
	if spec.IPFamilyPolicy != nil {
		errs = append(errs, validateEnum(*spec.IPFamilyPolicy, path.Child("ipFamilyPolicy"),
			corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	}
	addresses, wrong := parseClusterIPs(spec.ClusterIPs, ips)
	if len(wrong) > 0 {
		return append(errs, wrong...)
	}
	if len(spec.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(ips, spec.ClusterIPs, "may only hold up to 2 values"))
	}
	if len(addresses) > 1 && familyOf(addresses[0]) == familyOf(addresses[1]) {
		errs = append(errs, field.Invalid(ips, spec.ClusterIPs, "may specify no more than one IP for each IP family"))
	}
	for i, addr := range addresses {
		if i < len(spec.IPFamilies) && spec.IPFamilies[i] == other(familyOf(addr)) {
			errs = append(errs, field.Invalid(ips.Index(i), addr.String(), fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%d]`", spec.IPFamilies[i], i)))
		}
	}
	return errs
}

// parseClusterIPs returns the addresses; there are none for "None".
func parseClusterIPs(texts []string, path *field.Path) ([]netip.Addr, field.ErrorList) {
	var addresses []netip.Addr
	var errs field.ErrorList
	for i, text := range texts {
		if i == 0 && text == corev1.ClusterIPNone {
			if len(texts) > 1 {
				errs = append(errs, field.Invalid(path, texts, "'None' must be the first and only value"))
			}
			continue
		}
		if wrong := validation.IsValidIP(path.Index(i), text); len(wrong) > 0 {
			errs = append(errs, wrong...)
		} else if addr, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, addr)
		}
	}
	return addresses, errs
}
