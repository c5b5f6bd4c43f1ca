package apiserver

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/validation/spec"

	generated "coxswain.dev/cox/internal/apiserver/openapi"
)

// kindsExtension names the kinds that a schema describes.
const kindsExtension = "x-kubernetes-group-version-kind"

// setOpenAPI describes the served types to clients, and to server-side apply.
func setOpenAPI(config *genericapiserver.Config, scheme *runtime.Scheme) {
	namer := openapi.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(generated.GetOpenAPIDefinitions, namer)
	config.OpenAPIConfig.GetDefinitionName = publishedKinds(namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(generated.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config.GetDefinitionName = publishedKinds(namer)
	config.OpenAPIConfig.GetOperationIDAndTagsFromRoute = operationOf
	config.OpenAPIV3Config.GetOperationIDAndTagsFromRoute = operationOf
	// serveOpenAPI does it, when somebody asks.
	config.SkipOpenAPIInstallation = true
	config.OpenAPIConfig.Info.Title, config.OpenAPIV3Config.Info.Title = "Kubernetes", "Kubernetes"
}

// operationOf is what the library would put in its place, which keeps a whole
// document and every definition alive.
func operationOf(route common.Route) (string, []string, error) {
	adapter, ok := route.(*restfuladapter.RouteAdapter)
	if !ok {
		return "", nil, fmt.Errorf("describing a %T: it is no route of go-restful", route)
	}
	return openapi.GetOperationIDAndTags(adapter.Route)
}

// publishedKinds names definitions as namer does, without the internal
// versions that share their Go types: no client may ever see those.
func publishedKinds(namer *openapi.DefinitionNamer) func(string) (string, spec.Extensions) {
	return func(name string) (string, spec.Extensions) {
		name, extensions := namer.GetDefinitionName(name)
		all, ok := extensions[kindsExtension].([]any)
		if !ok {
			return name, extensions
		}
		published := make([]any, 0, len(all))
		for _, kind := range all {
			if version, _ := kind.(map[string]any)["version"].(string); !strings.HasPrefix(version, "__") {
				published = append(published, kind)
			}
		}
		return name, spec.Extensions{kindsExtension: published}
	}
}

// forgetDefinitions frees the description of every type once the groups are
// installed. serveOpenAPI makes it again when somebody asks.
func forgetDefinitions(config *genericapiserver.Config, groups []*genericapiserver.APIGroupInfo) {
	config.OpenAPIV3Config.Definitions = nil
	for _, group := range groups {
		group.StaticOpenAPISpec = nil
	}
}
