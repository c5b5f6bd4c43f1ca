package apiserver

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericapiserver "k8s.io/apiserver/pkg/server"

	corev1 "k8s.io/api/core/v1"

	rbacapi "coxswain.dev/cox/internal/apis/rbac"
	"coxswain.dev/cox/internal/apiserver/tokens"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/authentication"
	"coxswain.dev/cox/internal/registry/authorization"
	"coxswain.dev/cox/internal/registry/rbac"
)

// kinds lists every resource that is served.
func (s *Server) kinds() []registry.Builder {
	core := []registry.Builder{
		registry.Kind[*corev1.ConfigMap]{Version: corev1.SchemeGroupVersion, Resource: "configmaps", Singular: "configmap", ShortNames: []string{"cm"},
			New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} }, NewList: func() runtime.Object { return &corev1.ConfigMapList{} }},
		registry.Kind[*corev1.Namespace]{Version: corev1.SchemeGroupVersion, Resource: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, ClusterScoped: true,
			New: func() *corev1.Namespace { return &corev1.Namespace{} }, NewList: func() runtime.Object { return &corev1.NamespaceList{} }},
	}
	return slices.Concat(
		core,
		rbac.Kinds(s.guard),
		authentication.Kinds(s.tokens, authenticator.Audiences{tokens.Issuer}),
		authorization.Kinds(s.authorizer, s.policy),
	)
}

// addDefaults registers the defaults of every group.
func addDefaults(scheme *runtime.Scheme) {
	rbacapi.AddDefaults(scheme)
}

// groupOrder is the order of discovery: where several groups have a resource
// of one name, clients take the first.
func groupOrder(groups map[string]*genericapiserver.APIGroupInfo) []string {
	return slices.Sorted(maps.Keys(groups))
}
