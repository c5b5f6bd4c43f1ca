package networking

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateNetworkPolicy checks a policy beyond its metadata. old is nil for a
// new one; a range of addresses that old has is taken as it is.
func ValidateNetworkPolicy(policy, old *networkingv1.NetworkPolicy) field.ErrorList {
	path := field.NewPath("spec")
	v := policyValidator{}
	if old != nil {
		v.known = rangesOf(&old.Spec)
	}
	errs := metavalidation.ValidateLabelSelector(&policy.Spec.PodSelector, metavalidation.LabelSelectorValidationOptions{}, path.Child("podSelector"))
	for i, rule := range policy.Spec.Ingress {
		at := path.Child("ingress").Index(i)
		errs = append(errs, validatePolicyPorts(rule.Ports, at.Child("ports"))...)
		errs = append(errs, v.peers(rule.From, at.Child("from"))...)
	}
	for i, rule := range policy.Spec.Egress {
		at := path.Child("egress").Index(i)
		errs = append(errs, validatePolicyPorts(rule.Ports, at.Child("ports"))...)
		errs = append(errs, v.peers(rule.To, at.Child("to"))...)
	}
	return append(errs, validatePolicyTypes(policy.Spec.PolicyTypes, path.Child("policyTypes"))...)
}

func validatePolicyTypes(types []networkingv1.PolicyType, path *field.Path) field.ErrorList {
	known := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	if len(types) > len(known) {
		return field.ErrorList{field.Invalid(path, &types, "may not specify more than two policyTypes")}
	}
	var errs field.ErrorList
	for i, kind := range types {
		if kind != known[0] && kind != known[1] {
			errs = append(errs, field.NotSupported(path.Index(i), kind, known))
		}
	}
	return errs
}

func validatePolicyPorts(ports []networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range ports {
		errs = append(errs, validatePolicyPort(&ports[i], path.Index(i))...)
	}
	return errs
}

func validatePolicyPort(port *networkingv1.NetworkPolicyPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if port.Protocol != nil {
		switch *port.Protocol {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			errs = append(errs, field.NotSupported(at.Child("protocol"), *port.Protocol, []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}))
		}
	}
	last := at.Child("endPort")
	switch {
	case port.Port == nil && port.EndPort != nil:
		errs = append(errs, field.Invalid(last, *port.EndPort, "may not be specified when `port` is not specified"))
	case port.Port == nil:
	case port.Port.Type == intstr.Int:
		for _, message := range validation.IsValidPortNum(int(port.Port.IntVal)) {
			errs = append(errs, field.Invalid(at.Child("port"), port.Port.IntVal, message))
		}
		if port.EndPort == nil {
			break
		}
		if *port.EndPort < port.Port.IntVal {
			errs = append(errs, field.Invalid(last, *port.EndPort, "must be greater than or equal to `port`"))
		}
		for _, message := range validation.IsValidPortNum(int(*port.EndPort)) {
			errs = append(errs, field.Invalid(last, *port.EndPort, message))
		}
	default:
		if port.EndPort != nil {
			errs = append(errs, field.Invalid(last, *port.EndPort, "may not be specified when `port` is non-numeric"))
		}
		for _, message := range validation.IsValidPortName(port.Port.StrVal) {
			errs = append(errs, field.Invalid(at.Child("port"), port.Port.StrVal, message))
		}
	}
	return errs
}

// policyValidator knows the ranges that are stored already: they are not
// refused again.
type policyValidator struct{ known []string }

func rangesOf(spec *networkingv1.NetworkPolicySpec) []string {
	var all []string
	collect := func(peers []networkingv1.NetworkPolicyPeer) {
		for _, peer := range peers {
			if peer.IPBlock != nil {
				all = append(append(all, peer.IPBlock.CIDR), peer.IPBlock.Except...)
			}
		}
	}
	for _, rule := range spec.Ingress {
		collect(rule.From)
	}
	for _, rule := range spec.Egress {
		collect(rule.To)
	}
	return all
}

func (v policyValidator) peers(peers []networkingv1.NetworkPolicyPeer, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range peers {
		peer, at, kinds := &peers[i], path.Index(i), 0
		if peer.PodSelector != nil {
			kinds++
			errs = append(errs, metavalidation.ValidateLabelSelector(peer.PodSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("podSelector"))...)
		}
		if peer.NamespaceSelector != nil {
			kinds++
			errs = append(errs, metavalidation.ValidateLabelSelector(peer.NamespaceSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
		}
		if peer.IPBlock != nil {
			kinds++
			errs = append(errs, v.block(peer.IPBlock, at.Child("ipBlock"))...)
		}
		if kinds == 0 {
			errs = append(errs, field.Required(at, "must specify a peer"))
		} else if kinds > 1 && peer.IPBlock != nil {
			errs = append(errs, field.Forbidden(at, "may not specify both ipBlock and another peer"))
		}
	}
	return errs
}

func (v policyValidator) block(block *networkingv1.IPBlock, at *field.Path) field.ErrorList {
	if block.CIDR == "" {
		return field.ErrorList{field.Required(at.Child("cidr"), "")}
	}
	errs := validation.IsValidCIDRForLegacyField(at.Child("cidr"), block.CIDR, true, v.known)
	whole, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return errs
	}
	for i, text := range block.Except {
		path := at.Child("except").Index(i)
		errs = append(errs, validation.IsValidCIDRForLegacyField(path, text, true, v.known)...)
		except, err := netip.ParsePrefix(text)
		if err == nil && (!whole.Contains(except.Addr()) || whole.Bits() >= except.Bits()) {
			errs = append(errs, field.Invalid(path, text, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
