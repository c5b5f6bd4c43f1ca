package apiserver

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"coxswain.dev/cox/internal/registry"
)

// kinds lists every resource that is served.
func kinds() []registry.Builder {
	return []registry.Builder{
		registry.Kind[*corev1.ConfigMap]{Version: corev1.SchemeGroupVersion, Resource: "configmaps", Singular: "configmap", ShortNames: []string{"cm"},
			New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} }, NewList: func() runtime.Object { return &corev1.ConfigMapList{} }},
		registry.Kind[*corev1.Namespace]{Version: corev1.SchemeGroupVersion, Resource: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, ClusterScoped: true,
			New: func() *corev1.Namespace { return &corev1.Namespace{} }, NewList: func() runtime.Object { return &corev1.NamespaceList{} }},
	}
}

// addDefaults registers the defaults of every group.
func addDefaults(scheme *runtime.Scheme) {
}

// groupOrder is the order of discovery: where several groups have a resource
// of one name, clients take the first.
func groupOrder(groups map[string]*genericapiserver.APIGroupInfo) []string {
	return slices.Sorted(maps.Keys(groups))
}
