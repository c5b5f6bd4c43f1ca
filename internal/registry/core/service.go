package core

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func service(prefix netip.Prefix) registry.Kind[*corev1.Service] {
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
		Status: &registry.Status[*corev1.Service]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.Service) { obj.Spec = old.Spec },
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
		Store: func(store *genericregistry.Store) { allocateIn(store, prefix) },
	}
}

// allocateIn gives Services their addresses before they are validated and
// stored, and takes them back when they go.
func allocateIn(store *genericregistry.Store, prefix netip.Prefix) {
	a := newAllocator(prefix, func(ctx context.Context) (runtime.Object, error) {
		return store.ListPredicate(ctx, store.PredicateFunc(labels.Everything(), fields.Everything()), nil)
	})
	store.BeginCreate = func(ctx context.Context, obj runtime.Object, options *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
		service := obj.(*corev1.Service)
		fillFamilies(service, nil)
		undo, err := a.allocate(allNamespaces(ctx), service, nil)
		if err != nil {
			return nil, refused(service, err)
		}
		return func(_ context.Context, success bool) {
			if !success || len(options.DryRun) > 0 {
				undo()
			}
		}, nil
	}
	store.BeginUpdate = func(ctx context.Context, obj, old runtime.Object, options *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
		service, before := obj.(*corev1.Service), old.(*corev1.Service)
		fillFamilies(service, before)
		undo, err := a.allocate(allNamespaces(ctx), service, before)
		if err != nil {
			return nil, refused(service, err)
		}
		return func(_ context.Context, success bool) {
			if !success || len(options.DryRun) > 0 {
				undo()
				return
			}
			a.release(before, service)
		}, nil
	}
	store.AfterDelete = func(obj runtime.Object, options *metav1.DeleteOptions) {
		if options == nil || len(options.DryRun) == 0 {
			a.release(obj.(*corev1.Service), nil)
		}
	}
}

// fillFamilies brings the fields that say the same in step: clusterIP and
// clusterIPs, and the only IP family there is. A Service keeps its address and
// its node ports when an update leaves them out.
func fillFamilies(service, old *corev1.Service) {
	spec := &service.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		spec.ClusterIP, spec.ClusterIPs, spec.IPFamilies, spec.IPFamilyPolicy = "", nil, nil, nil
		for i := range spec.Ports {
			spec.Ports[i].NodePort = 0
		}
		return
	}
	if old != nil && old.Spec.Type != corev1.ServiceTypeExternalName {
		if spec.ClusterIP == "" && len(spec.ClusterIPs) == 0 {
			spec.ClusterIP, spec.ClusterIPs = old.Spec.ClusterIP, old.Spec.ClusterIPs
		}
		if wantsNodePorts(service) && wantsNodePorts(old) {
			keepNodePorts(service, old)
		}
	}
	if spec.ClusterIP == "" && len(spec.ClusterIPs) > 0 {
		spec.ClusterIP = spec.ClusterIPs[0]
	}
	if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	if !wantsNodePorts(service) && old != nil && wantsNodePorts(old) {
		for i := range spec.Ports {
			spec.Ports[i].NodePort = 0
		}
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	if spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicySingleStack
		spec.IPFamilyPolicy = &policy
	}
}

func keepNodePorts(service, old *corev1.Service) {
	type key struct {
		protocol corev1.Protocol
		port     int32
	}
	had := map[key]int32{}
	used := sets.New[int32]()
	for _, port := range old.Spec.Ports {
		had[key{port.Protocol, port.Port}] = port.NodePort
	}
	for _, port := range service.Spec.Ports {
		used.Insert(port.NodePort)
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if before := had[key{port.Protocol, port.Port}]; port.NodePort == 0 && !used.Has(before) {
			port.NodePort = before
		}
	}
}

func refused(service *corev1.Service, err error) error {
	path := field.NewPath("spec", "clusterIPs")
	message := fmt.Sprintf("failed to allocate IP %s: %v", service.Spec.ClusterIP, err)
	if service.Spec.ClusterIP == "" {
		return apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP: %w", err))
	}
	if strings.HasPrefix(err.Error(), "spec.ports") {
		return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), service.Name,
			field.ErrorList{field.Invalid(field.NewPath("spec", "ports"), service.Spec.Ports, err.Error())})
	}
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), service.Name,
		field.ErrorList{field.Invalid(path, service.Spec.ClusterIPs, message)})
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
