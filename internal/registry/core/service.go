package core

import (
	"context"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func service(deps Dependencies, stored *storedServices, pods *storedPods) registry.Kind[*corev1.Service] {
	return registry.Kind[*corev1.Service]{
		Version: corev1.SchemeGroupVersion, Resource: "services", Singular: "service", ShortNames: []string{"svc"}, Categories: []string{"all"},
		New:      func() *corev1.Service { return &corev1.Service{} },
		NewList:  func() runtime.Object { return &corev1.ServiceList{} },
		NameRule: apivalidation.NameIsDNS1035Label,
		PrepareForCreate: func(_ context.Context, obj *corev1.Service) {
			obj.Status = corev1.ServiceStatus{}
		},
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.Service) {
			obj.Status = old.Status
		},
		Validate: func(_ context.Context, obj *corev1.Service) field.ErrorList { return api.ValidateService(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *corev1.Service) field.ErrorList {
			return api.ValidateServiceUpdate(obj, old)
		},
		Warnings: func(_ context.Context, obj, _ *corev1.Service) []string { return api.ServiceWarnings(obj) },
		Status: &registry.Status[*corev1.Service]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.Service) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *corev1.Service) field.ErrorList {
				return api.ValidateServiceStatusUpdate(obj)
			},
		},
		Fields: func(obj *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": obj.Spec.ClusterIP, "spec.type": string(obj.Spec.Type)}
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Type", "string", corev1.ServiceSpec{}.SwaggerDoc()["type"]),
			registry.Column("Cluster-IP", "string", corev1.ServiceSpec{}.SwaggerDoc()["clusterIP"]),
			registry.Column("External-IP", "string", corev1.ServiceSpec{}.SwaggerDoc()["externalIPs"]),
			registry.Column("Port(s)", "string", corev1.ServiceSpec{}.SwaggerDoc()["ports"]),
			registry.AgeColumn,
			registry.WideColumn("Selector", "string", corev1.ServiceSpec{}.SwaggerDoc()["selector"]),
		},
		Row: func(obj *corev1.Service) []any {
			return []any{obj.Name, string(obj.Spec.Type), orNone(obj.Spec.ClusterIP), externalIP(obj), orNone(servicePorts(obj.Spec.Ports)),
				registry.Age(obj.CreationTimestamp), labels.FormatLabels(obj.Spec.Selector)}
		},
		Store: func(store *genericregistry.Store) {
			stored.store = store
			allocateIn(store, deps.ServiceCIDR)
		},
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			return map[string]rest.Storage{"proxy": newServiceProxy(store, pods, deps)}
		},
	}
}

func externalIP(service *corev1.Service) string {
	switch service.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return service.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var addresses []string
		for _, ingress := range service.Status.LoadBalancer.Ingress {
			if ingress.IP != "" {
				addresses = append(addresses, ingress.IP)
			} else if ingress.Hostname != "" {
				addresses = append(addresses, ingress.Hostname)
			}
		}
		addresses = append(addresses, service.Spec.ExternalIPs...)
		if len(addresses) == 0 {
			return "<pending>"
		}
		return strings.Join(addresses, ",")
	default:
		return orNone(strings.Join(service.Spec.ExternalIPs, ","))
	}
}

func servicePorts(ports []corev1.ServicePort) string {
	var texts []string
	for _, port := range ports {
		text := strconv.Itoa(int(port.Port))
		if port.NodePort > 0 {
			text += ":" + strconv.Itoa(int(port.NodePort))
		}
		texts = append(texts, text+"/"+string(port.Protocol))
	}
	return strings.Join(texts, ",")
}
