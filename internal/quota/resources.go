package quota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	countPrefix    = "count/"
	requestsPrefix = "requests."
	hugePages      = "hugepages-"
)

// podResources are what Pods use, beside huge pages and extended resources.
var podResources = map[corev1.ResourceName]bool{
	corev1.ResourcePods: true, countPrefix + "pods": true,
	corev1.ResourceCPU: true, corev1.ResourceMemory: true, corev1.ResourceEphemeralStorage: true,
	corev1.ResourceRequestsCPU: true, corev1.ResourceRequestsMemory: true, corev1.ResourceRequestsEphemeralStorage: true,
	corev1.ResourceLimitsCPU: true, corev1.ResourceLimitsMemory: true, corev1.ResourceLimitsEphemeralStorage: true,
}

// serviceResources are what Services use.
var serviceResources = map[corev1.ResourceName]bool{
	corev1.ResourceServices: true, countPrefix + "services": true,
	corev1.ResourceServicesNodePorts: true, corev1.ResourceServicesLoadBalancers: true,
}

// Aliases are other names by which objects are counted: those from before
// count/ was there, and that of a group which has the same objects.
var Aliases = map[schema.GroupResource]corev1.ResourceName{
	{Resource: "configmaps"}:             corev1.ResourceConfigMaps,
	{Resource: "resourcequotas"}:         corev1.ResourceQuotas,
	{Resource: "replicationcontrollers"}: corev1.ResourceReplicationControllers,
	{Resource: "secrets"}:                corev1.ResourceSecrets,
	{Resource: "persistentvolumeclaims"}: corev1.ResourcePersistentVolumeClaims,

	{Group: "apps", Resource: "deployments"}:       countPrefix + "deployments.extensions",
	{Group: "apps", Resource: "replicasets"}:       countPrefix + "replicasets.extensions",
	{Group: "extensions", Resource: "deployments"}: countPrefix + "deployments.apps",
	{Group: "extensions", Resource: "replicasets"}: countPrefix + "replicasets.apps",
}

// OfPods tells whether Pods use the named resource.
func OfPods(name corev1.ResourceName) bool {
	return podResources[name] ||
		strings.HasPrefix(string(name), hugePages) || strings.HasPrefix(string(name), requestsPrefix+hugePages) ||
		strings.HasPrefix(string(name), requestsPrefix) && isExtended(corev1.ResourceName(strings.TrimPrefix(string(name), requestsPrefix)))
}

// OfServices tells whether Services use the named resource.
func OfServices(name corev1.ResourceName) bool { return serviceResources[name] }

// Counted returns which objects the named resource counts, if it does: those
// of count/<resource>.<group> and of the older names. Pods and Services are
// among them.
func Counted(name corev1.ResourceName) (schema.GroupResource, bool) {
	if counted, ok := strings.CutPrefix(string(name), countPrefix); ok {
		resource := schema.ParseGroupResource(counted)
		if resource.Group == "extensions" {
			resource.Group = "apps" // what is served there are the same objects
		}
		return resource, true
	}
	for resource, alias := range Aliases {
		if name == alias {
			return resource, true
		}
	}
	return schema.GroupResource{}, false
}

// isExtended tells whether a resource is neither Kubernetes' own nor the name
// of a quota.
func isExtended(name corev1.ResourceName) bool {
	text := string(name)
	return strings.Contains(text, "/") && !strings.Contains(text, corev1.ResourceDefaultNamespacePrefix) && !strings.HasPrefix(text, requestsPrefix)
}
