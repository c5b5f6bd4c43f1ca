package apiserver

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"coxswain.dev/cox/internal/apiserver/strict"
	"coxswain.dev/cox/internal/apiserver/tokens"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/authentication"
)

// install builds the storages of every kind, and puts them below /api and
// /apis.
func (s *Server) install(config *genericapiserver.Config, scheme *runtime.Scheme, codecs serializer.CodecFactory, served []registry.Builder) error {
	groups, err := s.groups(scheme, codecs, served)
	if err != nil {
		return err
	}
	core := groups[corev1.GroupName]
	s.addTokenRequests(core.VersionedResourcesStorageMap["v1"])
	if err := s.generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, core); err != nil {
		return fmt.Errorf("serving the core group: %w", err)
	}
	delete(groups, corev1.GroupName)
	ordered := []*genericapiserver.APIGroupInfo{}
	for n, name := range groupOrder(groups) {
		ordered = append(ordered, groups[name])
		s.orderDiscovery(groups[name].PrioritizedVersions, len(groups)-n)
	}
	// Together, so that they share one description of their types.
	if err := s.generic.InstallAPIGroups(ordered...); err != nil {
		return fmt.Errorf("serving the API groups: %w", err)
	}
	forgetDefinitions(config, append(ordered, core))
	return nil
}

// orderDiscovery puts the versions of a group in their place in the aggregated
// document, which has priorities instead of an order.
func (s *Server) orderDiscovery(versions []schema.GroupVersion, priority int) {
	for n, version := range versions {
		s.generic.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(version), priority, len(versions)-n)
	}
}

// groups builds the storages, by group.
func (s *Server) groups(scheme *runtime.Scheme, codecs serializer.CodecFactory, served []registry.Builder) (map[string]*genericapiserver.APIGroupInfo, error) {
	groups := map[string]*genericapiserver.APIGroupInfo{}
	parameters := runtime.NewParameterCodec(scheme)
	serve := func(version schema.GroupVersion, storages map[string]rest.Storage) {
		group, ok := groups[version.Group]
		if !ok {
			info := genericapiserver.NewDefaultAPIGroupInfo(version.Group, scheme, parameters, codecs)
			group = &info
			groups[version.Group] = group
		}
		resources := group.VersionedResourcesStorageMap[version.Version]
		if resources == nil {
			resources = map[string]rest.Storage{}
			group.VersionedResourcesStorageMap[version.Version] = resources
		}
		maps.Copy(resources, storages)
	}
	for _, kind := range served {
		storages, err := kind.Build(scheme, s.stores)
		if err != nil {
			return nil, err
		}
		for _, storage := range storages {
			if filling, ok := storage.(rest.StorageWithReadiness); ok {
				s.storages = append(s.storages, filling)
			}
		}
		serve(kind.GroupVersion(), storages)
		if aged, ok := kind.(registry.Aged); ok {
			for _, version := range aged.OlderVersions() {
				serve(version, registry.Older(storages, version.Group != kind.GroupVersion().Group))
			}
		}
	}
	return groups, s.explainMistakes(scheme, groups)
}

// explainMistakes makes every group's serializer name the fields that were
// meant.
func (s *Server) explainMistakes(scheme *runtime.Scheme, groups map[string]*genericapiserver.APIGroupInfo) error {
	s.types = map[schema.GroupVersionResource]reflect.Type{}
	for name, group := range groups {
		var types []reflect.Type
		for version, resources := range group.VersionedResourcesStorageMap {
			served := schema.GroupVersion{Group: name, Version: version}
			for path, storage := range resources {
				if strings.Contains(path, "/") {
					continue
				}
				t, err := servedType(scheme, served, storage)
				if err != nil {
					return err
				}
				types = append(types, t)
				s.types[served.WithResource(path)] = t
			}
		}
		group.NegotiatedSerializer = strict.NewSerializer(group.NegotiatedSerializer, types)
	}
	return nil
}

// servedType is the Go type by which a version shows what a storage keeps.
func servedType(scheme *runtime.Scheme, version schema.GroupVersion, storage rest.Storage) (reflect.Type, error) {
	kind, err := endpoints.GetResourceKind(version, storage, scheme)
	if err != nil {
		return nil, err
	}
	shown, err := scheme.New(kind)
	if err != nil {
		return nil, err
	}
	return reflect.TypeOf(shown), nil
}

// addTokenRequests adds serviceaccounts/token, which needs several kinds.
func (s *Server) addTokenRequests(core map[string]rest.Storage) {
	s.objects.set(core)
	core["serviceaccounts/token"] = &authentication.TokenRequest{
		Signer:    &tokens.Signer{Key: s.key, Objects: s.objects},
		Objects:   s.objects,
		Audiences: []string{tokens.Issuer},
		NodeOf:    func(pod metav1.Object) string { return pod.(*corev1.Pod).Spec.NodeName },
	}
}
