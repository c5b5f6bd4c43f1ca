package admission

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	libquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"

	"coxswain.dev/cox/internal/quota"
)

// quotaWorkers is how many namespaces are charged side by side.
const quotaWorkers = 5

// uncounted are what no quota may hold up: Events tell what goes wrong, and
// the rest is not stored.
var uncounted = map[schema.GroupResource]struct{}{
	{Resource: "bindings"}:                                                 {},
	{Resource: "componentstatuses"}:                                        {},
	{Resource: "events"}:                                                   {},
	{Group: "events.k8s.io", Resource: "events"}:                           {},
	{Group: "authentication.k8s.io", Resource: "tokenreviews"}:             {},
	{Group: "authentication.k8s.io", Resource: "selfsubjectreviews"}:       {},
	{Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews"}: {},
	{Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}:  {},
	{Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"}:   {},
	{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}:      {},
}

// newResourceQuota is the library's plugin with what Pods and Services use
// filled in: it charges the quotas of a namespace before an object is stored.
func newResourceQuota(deps Dependencies) (admission.Interface, error) {
	plugin, err := resourcequota.NewResourceQuota(nil, quotaWorkers)
	if err != nil {
		return nil, fmt.Errorf("the admission of quotas: %w", err)
	}
	plugin.SetDrainedNotification(deps.Stopped)
	plugin.SetExternalKubeClientSet(deps.Client)
	plugin.SetExternalKubeInformerFactory(deps.Informers)
	plugin.SetQuotaConfiguration(generic.NewConfiguration(evaluators(), uncounted))
	if err := plugin.ValidateInitialization(); err != nil {
		return nil, fmt.Errorf("the admission of quotas: %w", err)
	}
	return plugin, nil
}

// evaluators say what an object uses. Kinds that are not here are counted.
func evaluators() []libquota.Evaluator {
	all := []libquota.Evaluator{
		evaluator{resource: corev1.Resource("pods"), tracks: quota.OfPods, usage: podUsage, constraints: podConstraints, inScope: podInScope, handles: handlesPod},
		evaluator{resource: corev1.Resource("services"), tracks: quota.OfServices, usage: serviceUsage, handles: handlesService},
	}
	for resource, alias := range quota.Aliases {
		all = append(all, generic.NewObjectCountEvaluator(resource, nil, alias))
	}
	return all
}
