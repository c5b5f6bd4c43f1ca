package core

import (
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const mutableFields = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

// ValidatePodUpdate allows little of a Pod to change: images, a deadline that
// comes nearer, tolerations that are added, gates that go, a negative grace
// period; and while it is gated, a narrower choice of nodes.
func ValidatePodUpdate(pod, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("spec")
	errs := validatePodSpec(&pod.Spec, true, path)
	if pod.Annotations[corev1.PodDeletionCost] != old.Annotations[corev1.PodDeletionCost] {
		errs = append(errs, validatePodAnnotations(pod.Annotations, field.NewPath("metadata", "annotations"))...)
	}
	for _, list := range []struct {
		name     string
		now, was []corev1.Container
	}{{"containers", pod.Spec.Containers, old.Spec.Containers}, {"initContainers", pod.Spec.InitContainers, old.Spec.InitContainers}} {
		if len(list.now) != len(list.was) {
			return append(errs, field.Forbidden(path.Child(list.name), "pod updates may not add or remove containers"))
		}
	}
	deadline, stop := validateDeadline(pod.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds, path.Child("activeDeadlineSeconds"))
	if errs = append(errs, deadline...); stop {
		return errs
	}
	errs = append(errs, validateAddedTolerations(pod.Spec.Tolerations, old.Spec.Tolerations, path.Child("tolerations"))...)
	errs = append(errs, validateGatesOnlyGo(pod.Spec.SchedulingGates, old.Spec.SchedulingGates, path.Child("schedulingGates"))...)
	same := withImmutableOnly(&pod.Spec, &old.Spec)
	if len(old.Spec.SchedulingGates) > 0 && !equality.Semantic.DeepEqual(same.NodeSelector, old.Spec.NodeSelector) {
		errs = append(errs, validateNarrowed(same.NodeSelector, old.Spec.NodeSelector, path.Child("nodeSelector"))...)
		same.NodeSelector = old.Spec.NodeSelector
	}
	if !equality.Semantic.DeepEqual(same, &old.Spec) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("pod updates may not change fields other than %s\n%v", mutableFields, diff.Diff(&old.Spec, same))))
	}
	return errs
}

// withImmutableOnly is spec with everything that may change as it was in old.
func withImmutableOnly(spec, old *corev1.PodSpec) *corev1.PodSpec {
	same := spec.DeepCopy()
	for i := range same.Containers {
		same.Containers[i].Image = old.Containers[i].Image
	}
	for i := range same.InitContainers {
		same.InitContainers[i].Image = old.InitContainers[i].Image
	}
	same.ActiveDeadlineSeconds, same.Tolerations, same.SchedulingGates = old.ActiveDeadlineSeconds, old.Tolerations, old.SchedulingGates
	if was, is := old.TerminationGracePeriodSeconds, same.TerminationGracePeriodSeconds; was != nil && *was < 0 && is != nil && *is == 1 {
		same.TerminationGracePeriodSeconds = was
	}
	return same
}

// validateDeadline allows a deadline to be set and to come nearer. stop tells
// that nothing more is worth a word.
func validateDeadline(seconds, old *int64, path *field.Path) (errs field.ErrorList, stop bool) {
	switch {
	case seconds == nil && old != nil:
		return field.ErrorList{field.Invalid(path, seconds, "must not update from a positive integer to nil value")}, false
	case seconds == nil:
		return nil, false
	case *seconds < 0 || *seconds > math.MaxInt32:
		return field.ErrorList{field.Invalid(path, *seconds, validation.InclusiveRangeError(0, math.MaxInt32))}, true
	case old != nil && *old < *seconds:
		return field.ErrorList{field.Invalid(path, *seconds, "must be less than or equal to previous value")}, true
	}
	return nil, false
}

// validateAddedTolerations wants the old ones kept but for their seconds.
func validateAddedTolerations(tolerations, old []corev1.Toleration, path *field.Path) field.ErrorList {
	for _, before := range old {
		kept := slices.ContainsFunc(tolerations, func(now corev1.Toleration) bool {
			now.TolerationSeconds, before.TolerationSeconds = nil, nil
			return now == before
		})
		if !kept {
			return field.ErrorList{field.Forbidden(path, "existing toleration can not be modified except its tolerationSeconds")}
		}
	}
	return nil
}

// validateGatesOnlyGo allows scheduling gates to be taken away, not to be added.
func validateGatesOnlyGo(gates, old []corev1.PodSchedulingGate, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, gate := range gates {
		if !slices.Contains(old, gate) {
			errs = append(errs, field.Forbidden(path.Index(i).Child("name"), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", gate.Name)))
		}
	}
	return errs
}

// validateNarrowed allows a selector to get more terms.
func validateNarrowed(selector, old map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range byName(old) {
		if value, kept := selector[key]; !kept || value != old[key] {
			errs = append(errs, field.Invalid(path, selector, "only additions are allowed"))
			break
		}
	}
	return errs
}

// ValidatePodStatusUpdate checks what a node says of a Pod.
func ValidatePodStatusUpdate(pod, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("status")
	var errs field.ErrorList
	if node := pod.Status.NominatedNodeName; node != "" && node != old.Status.NominatedNodeName {
		for _, message := range validation.IsDNS1123Subdomain(node) {
			errs = append(errs, field.Invalid(path.Child("nominatedNodeName"), node, message))
		}
	}
	for i, condition := range pod.Status.Conditions {
		errs = append(errs, validateQualified(string(condition.Type), path.Child("conditions").Index(i).Child("Type"))...)
	}
	return errs
}
