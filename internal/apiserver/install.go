package apiserver

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
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
	for _, name := range groupOrder(groups) {
		ordered = append(ordered, groups[name])
	}
	// Together, so that they share one description of their types.
	if err := s.generic.InstallAPIGroups(ordered...); err != nil {
		return fmt.Errorf("serving the API groups: %w", err)
	}
	forgetDefinitions(config, append(ordered, core))
	return nil
}

// groups builds the storages, by group.
func (s *Server) groups(scheme *runtime.Scheme, codecs serializer.CodecFactory, served []registry.Builder) (map[string]*genericapiserver.APIGroupInfo, error) {
	groups := map[string]*genericapiserver.APIGroupInfo{}
	parameters := runtime.NewParameterCodec(scheme)
	for _, kind := range served {
		version := kind.GroupVersion()
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
		storages, err := kind.Build(scheme, s.stores)
		if err != nil {
			return nil, err
		}
		for path, storage := range storages {
			resources[path] = storage
			if filling, ok := storage.(rest.StorageWithReadiness); ok {
				s.storages = append(s.storages, filling)
			}
		}
	}
	s.explainMistakes(groups)
	return groups, nil
}

// explainMistakes makes every group's serializer name the fields that were
// meant.
func (s *Server) explainMistakes(groups map[string]*genericapiserver.APIGroupInfo) {
	s.types = map[schema.GroupVersionResource]reflect.Type{}
	for name, group := range groups {
		var types []reflect.Type
		for version, resources := range group.VersionedResourcesStorageMap {
			for path, storage := range resources {
				if strings.Contains(path, "/") {
					continue
				}
				t := reflect.TypeOf(storage.New())
				types = append(types, t)
				s.types[schema.GroupVersionResource{Group: name, Version: version, Resource: path}] = t
			}
		}
		group.NegotiatedSerializer = strict.NewSerializer(group.NegotiatedSerializer, types)
	}
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
