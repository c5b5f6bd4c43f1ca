package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// remaining is what is still in a namespace that is to go.
type remaining struct {
	objects    map[schema.GroupVersionResource]int
	finalizers map[string]int
}

func newRemaining() *remaining {
	return &remaining{map[schema.GroupVersionResource]int{}, map[string]int{}}
}

func (r *remaining) note(resource schema.GroupVersionResource, objects []metav1.PartialObjectMetadata) {
	if len(objects) > 0 {
		r.objects[resource] += len(objects)
	}
	for i := range objects {
		for _, finalizer := range objects[i].Finalizers {
			r.finalizers[finalizer]++
		}
	}
}

// conditions say how far the deletion is, and what it waits for, in the words
// of Kubernetes. failure is why something could not be deleted.
func (r *remaining) conditions(before []corev1.NamespaceCondition, failure error) []corev1.NamespaceCondition {
	var objects, finalizers []string
	for resource, count := range r.objects {
		objects = append(objects, fmt.Sprintf("%s.%s has %d resource instances", resource.Resource, resource.Group, count))
	}
	slices.Sort(objects)
	for _, finalizer := range slices.Sorted(maps.Keys(r.finalizers)) {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", finalizer, r.finalizers[finalizer]))
	}
	trouble := ""
	if failure != nil {
		trouble = fmt.Sprintf("Failed to delete all resource types, %d remaining: %v", len(r.objects), failure)
	}
	with := func(text string, list []string) string {
		if len(list) == 0 {
			return ""
		}
		return text + strings.Join(list, ", ")
	}
	after := slices.Clone(before)
	for _, c := range []struct {
		kind                    corev1.NamespaceConditionType
		good, fine, bad, reason string
	}{
		{corev1.NamespaceDeletionDiscoveryFailure, "ResourcesDiscovered", "All resources successfully discovered", "", ""},
		{corev1.NamespaceDeletionGVParsingFailure, "ParsedGroupVersions", "All legacy kube types successfully parsed", "", ""},
		{corev1.NamespaceDeletionContentFailure, "ContentDeleted", "All content successfully deleted, may be waiting on finalization", trouble, "ContentDeletionFailed"},
		{corev1.NamespaceContentRemaining, "ContentRemoved", "All content successfully removed", with("Some resources are remaining: ", objects), "SomeResourcesRemain"},
		{corev1.NamespaceFinalizersRemaining, "ContentHasNoFinalizers", "All content-preserving finalizers finished",
			with("Some content in the namespace has finalizers remaining: ", finalizers), "SomeFinalizersRemain"},
	} {
		next := corev1.NamespaceCondition{Type: c.kind, Status: corev1.ConditionFalse, Reason: c.good, Message: c.fine}
		if c.bad != "" {
			next.Status, next.Reason, next.Message = corev1.ConditionTrue, c.reason, c.bad
		}
		after = setNamespaceCondition(after, next)
	}
	return after
}

// setNamespaceCondition changes a condition, and its time if its status is
// another.
func setNamespaceCondition(conditions []corev1.NamespaceCondition, next corev1.NamespaceCondition) []corev1.NamespaceCondition {
	next.LastTransitionTime = metav1.NewTime(now()).Rfc3339Copy()
	for i, c := range conditions {
		if c.Type == next.Type {
			if c.Status == next.Status {
				next.LastTransitionTime = c.LastTransitionTime
			}
			conditions[i] = next
			return conditions
		}
	}
	return append(conditions, next)
}
