package admission

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	libquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/quota"
)

// evaluator tells the library what objects of one kind use. It implements
// libquota.Evaluator.
type evaluator struct {
	resource schema.GroupResource
	tracks   func(corev1.ResourceName) bool
	usage    func(runtime.Object) (corev1.ResourceList, error)
	handles  func(admission.Attributes) bool
	// constraints and inScope may be nil: nothing is required, and the kind
	// is in no scope.
	constraints func([]corev1.ResourceName, runtime.Object) error
	inScope     func(corev1.ScopedResourceSelectorRequirement, runtime.Object) (bool, error)
}

var _ libquota.Evaluator = evaluator{}

func (e evaluator) GroupResource() schema.GroupResource { return e.resource }

func (e evaluator) Handles(attributes admission.Attributes) bool { return e.handles(attributes) }

func (e evaluator) Usage(item runtime.Object) (corev1.ResourceList, error) { return e.usage(item) }

func (e evaluator) Constraints(required []corev1.ResourceName, item runtime.Object) error {
	if e.constraints == nil {
		return nil
	}
	return e.constraints(required, item)
}

func (e evaluator) MatchingResources(input []corev1.ResourceName) []corev1.ResourceName {
	return slices.DeleteFunc(slices.Clone(input), func(name corev1.ResourceName) bool { return !e.tracks(name) })
}

func (e evaluator) Matches(of *corev1.ResourceQuota, item runtime.Object) (bool, error) {
	inScope := e.inScope
	if inScope == nil {
		inScope = generic.MatchesNoScopeFunc
	}
	return generic.Matches(of, item, e.MatchingResources, inScope)
}

func (e evaluator) MatchingScopes(item runtime.Object, scopes []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	matching := []corev1.ScopedResourceSelectorRequirement{}
	for _, scope := range scopes {
		if e.inScope == nil {
			break
		}
		in, err := e.inScope(scope, item)
		if err != nil {
			return nil, err
		}
		if in {
			matching = append(matching, scope)
		}
	}
	return matching, nil
}

// UncoveredQuotaScopes is empty: no scope is limited by configuration.
func (e evaluator) UncoveredQuotaScopes([]corev1.ScopedResourceSelectorRequirement, []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	return []corev1.ScopedResourceSelectorRequirement{}, nil
}

// UsageStats is the controller's business; admission never asks.
func (e evaluator) UsageStats(libquota.UsageStatsOptions) (libquota.UsageStats, error) {
	return libquota.UsageStats{}, fmt.Errorf("admission does not count %s", e.resource)
}

// handlesPod charges a Pod when it is created and when it is resized.
func handlesPod(attributes admission.Attributes) bool {
	switch attributes.GetSubresource() {
	case "":
		return attributes.GetOperation() == admission.Create
	case "resize":
		return attributes.GetOperation() == admission.Update
	default:
		return false
	}
}

// handlesService charges updates too: they may change the type.
func handlesService(attributes admission.Attributes) bool {
	return attributes.GetSubresource() == "" && (attributes.GetOperation() == admission.Create || attributes.GetOperation() == admission.Update)
}

func podUsage(item runtime.Object) (corev1.ResourceList, error) {
	pod, ok := item.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("a %T is not a Pod", item)
	}
	return quota.PodUsage(pod, time.Now()), nil
}

func podConstraints(required []corev1.ResourceName, item runtime.Object) error {
	pod, ok := item.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("a %T is not a Pod", item)
	}
	return quota.PodConstraints(required, pod)
}

func podInScope(scope corev1.ScopedResourceSelectorRequirement, item runtime.Object) (bool, error) {
	pod, ok := item.(*corev1.Pod)
	if !ok {
		return false, fmt.Errorf("a %T is not a Pod", item)
	}
	return quota.PodInScope(scope, pod, api.QOSClass), nil
}

func serviceUsage(item runtime.Object) (corev1.ResourceList, error) {
	service, ok := item.(*corev1.Service)
	if !ok {
		return nil, fmt.Errorf("a %T is not a Service", item)
	}
	return quota.ServiceUsage(service), nil
}
