package networking

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/networking"
	"coxswain.dev/cox/internal/registry"
)

func ingress() registry.Kind[*networkingv1.Ingress] {
	return registry.Kind[*networkingv1.Ingress]{
		Version: networkingv1.SchemeGroupVersion, Resource: "ingresses", Singular: "ingress", ShortNames: []string{"ing"},
		New:     func() *networkingv1.Ingress { return &networkingv1.Ingress{} },
		NewList: func() runtime.Object { return &networkingv1.IngressList{} },
		PrepareForCreate: func(_ context.Context, obj *networkingv1.Ingress) {
			obj.Status, obj.Generation = networkingv1.IngressStatus{}, 1
		},
		PrepareForUpdate: func(_ context.Context, obj, old *networkingv1.Ingress) {
			obj.Status, obj.Generation = old.Status, old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate:       func(_ context.Context, obj *networkingv1.Ingress) field.ErrorList { return api.ValidateNewIngress(obj) },
		ValidateUpdate: func(_ context.Context, obj, _ *networkingv1.Ingress) field.ErrorList { return api.ValidateIngress(obj) },
		Status: &registry.Status[*networkingv1.Ingress]{
			PrepareForUpdate: func(_ context.Context, obj, old *networkingv1.Ingress) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, old *networkingv1.Ingress) field.ErrorList {
				return api.ValidateIngressStatus(&obj.Status, &old.Status)
			},
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Class", "string", "The name of the IngressClass resource that should be used for additional configuration"),
			registry.Column("Hosts", "string", "Hosts that incoming requests are matched against before the ingress rule"),
			registry.Column("Address", "string", "Address is a list containing ingress points for the load-balancer"),
			registry.Column("Ports", "string", "Ports of TLS configurations that open"),
			registry.AgeColumn,
		},
		Row: func(obj *networkingv1.Ingress) []any {
			class, ports := "<none>", "80"
			if obj.Spec.IngressClassName != nil {
				class = *obj.Spec.IngressClassName
			}
			if len(obj.Spec.TLS) > 0 {
				ports = "80, 443"
			}
			return []any{obj.Name, class, hostsText(obj.Spec.Rules), addressesText(obj.Status.LoadBalancer.Ingress), ports, registry.Age(obj.CreationTimestamp)}
		},
	}
}

// mostHosts is how many hosts a line shows.
const mostHosts = 3

func hostsText(rules []networkingv1.IngressRule) string {
	var hosts []string
	more := false
	for _, rule := range rules {
		if len(hosts) == mostHosts {
			more = true
		}
		if !more && rule.Host != "" {
			hosts = append(hosts, rule.Host)
		}
	}
	if len(hosts) == 0 {
		return "*"
	}
	text := strings.Join(hosts, ",")
	if more {
		return fmt.Sprintf("%s + %d more...", text, len(rules)-mostHosts)
	}
	return text
}

func addressesText(points []networkingv1.IngressLoadBalancerIngress) string {
	var addresses []string
	for _, point := range points {
		if point.IP != "" {
			addresses = append(addresses, point.IP)
		} else if point.Hostname != "" {
			addresses = append(addresses, point.Hostname)
		}
	}
	slices.Sort(addresses)
	return strings.Join(slices.Compact(addresses), ",")
}
