package apiserver

import (
	"maps"
	"slices"

	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericapiserver "k8s.io/apiserver/pkg/server"

	appsapi "coxswain.dev/cox/internal/apis/apps"
	autoscalingapi "coxswain.dev/cox/internal/apis/autoscaling"
	coreapi "coxswain.dev/cox/internal/apis/core"
	discoveryapi "coxswain.dev/cox/internal/apis/discovery"
	networkingapi "coxswain.dev/cox/internal/apis/networking"
	rbacapi "coxswain.dev/cox/internal/apis/rbac"
	"coxswain.dev/cox/internal/apiserver/tokens"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/apps"
	"coxswain.dev/cox/internal/registry/authentication"
	"coxswain.dev/cox/internal/registry/authorization"
	"coxswain.dev/cox/internal/registry/autoscaling"
	"coxswain.dev/cox/internal/registry/coordination"
	"coxswain.dev/cox/internal/registry/core"
	"coxswain.dev/cox/internal/registry/discovery"
	"coxswain.dev/cox/internal/registry/events"
	"coxswain.dev/cox/internal/registry/metrics"
	"coxswain.dev/cox/internal/registry/networking"
	"coxswain.dev/cox/internal/registry/policy"
	"coxswain.dev/cox/internal/registry/rbac"
)

// kinds lists every resource that is served.
func (s *Server) kinds() []registry.Builder {
	budgets := &policy.Budgets{}
	return slices.Concat(
		core.Kinds(core.Dependencies{
			ServiceCIDR: s.config.ServiceCIDR, Nodes: s.config.Nodes,
			Authorizer: s.authorizer, EndpointSlices: s.endpointSlices, DialPods: s.config.DialPods, Stopping: s.stopping,
			Budgets: budgets,
		}),
		apps.Kinds(),
		autoscaling.Kinds(),
		discovery.Kinds(),
		coordination.Kinds(),
		events.Kinds(),
		metrics.Kinds(s.objects, s.config.Nodes),
		networking.Kinds(),
		policy.Kinds(budgets),
		rbac.Kinds(s.guard),
		authentication.Kinds(s.tokens, authenticator.Audiences{tokens.Issuer}),
		authorization.Kinds(s.authorizer, s.policy),
	)
}

// addDefaults registers the defaults of every group.
func addDefaults(scheme *runtime.Scheme) {
	coreapi.AddDefaults(scheme)
	appsapi.AddDefaults(scheme)
	autoscalingapi.AddDefaults(scheme)
	discoveryapi.AddDefaults(scheme)
	networkingapi.AddDefaults(scheme)
	rbacapi.AddDefaults(scheme)
}

// groupOrder is the order of discovery: where several groups have a resource
// of one name, clients take the first. What is in extensions has moved to
// other groups, and comes last.
func groupOrder(groups map[string]*genericapiserver.APIGroupInfo) []string {
	names := slices.Sorted(maps.Keys(groups))
	if at := slices.Index(names, extensionsv1beta1.GroupName); at >= 0 {
		names = append(slices.Delete(names, at, at+1), extensionsv1beta1.GroupName)
	}
	return names
}
