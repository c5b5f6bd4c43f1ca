package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// AddDefaults registers the defaults of every networking.k8s.io/v1 kind with
// scheme. An Ingress has none: its class is admission's.
func AddDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&networkingv1.NetworkPolicy{}, func(obj any) { SetNetworkPolicyDefaults(obj.(*networkingv1.NetworkPolicy)) })
	scheme.AddTypeDefaultingFunc(&networkingv1.NetworkPolicyList{}, func(obj any) {
		for i := range obj.(*networkingv1.NetworkPolicyList).Items {
			SetNetworkPolicyDefaults(&obj.(*networkingv1.NetworkPolicyList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&networkingv1.IngressClass{}, func(obj any) { SetIngressClassDefaults(obj.(*networkingv1.IngressClass)) })
	scheme.AddTypeDefaultingFunc(&networkingv1.IngressClassList{}, func(obj any) {
		for i := range obj.(*networkingv1.IngressClassList).Items {
			SetIngressClassDefaults(&obj.(*networkingv1.IngressClassList).Items[i])
		}
	})
}

// SetNetworkPolicyDefaults fills in protocols, and the directions that the
// rules mean: ingress always, egress where it has rules.
func SetNetworkPolicyDefaults(policy *networkingv1.NetworkPolicy) {
	for i := range policy.Spec.Ingress {
		setPortDefaults(policy.Spec.Ingress[i].Ports)
	}
	for i := range policy.Spec.Egress {
		setPortDefaults(policy.Spec.Egress[i].Ports)
	}
	if len(policy.Spec.PolicyTypes) > 0 {
		return
	}
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(policy.Spec.Egress) > 0 {
		policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}

func setPortDefaults(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		if ports[i].Protocol == nil {
			ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}

// SetIngressClassDefaults fills in the scope of a class's parameters.
func SetIngressClassDefaults(class *networkingv1.IngressClass) {
	if class.Spec.Parameters != nil && class.Spec.Parameters.Scope == nil {
		class.Spec.Parameters.Scope = ptr.To(networkingv1.IngressClassParametersReferenceScopeCluster)
	}
}
