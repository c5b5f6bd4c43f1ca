package apps

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"coxswain.dev/cox/internal/apis/core"
)

// ValidateDeployment checks a defaulted Deployment.
func ValidateDeployment(d *appsv1.Deployment) field.ErrorList {
	path := field.NewPath("spec")
	errs := nonnegative(d.Spec.Replicas, path.Child("replicas"))
	errs = append(errs, validateSelector(d.Spec.Selector, &d.Spec.Template, path, "invalid label selector")...)
	errs = append(errs, core.ValidateRestartAlways(&d.Spec.Template, "ReplicaSet", path.Child("template"))...)
	errs = append(errs, validateStrategy(&d.Spec.Strategy, path.Child("strategy"))...)
	errs = append(errs, apivalidation.ValidateNonnegativeField(int64(d.Spec.MinReadySeconds), path.Child("minReadySeconds"))...)
	errs = append(errs, nonnegative(d.Spec.RevisionHistoryLimit, path.Child("revisionHistoryLimit"))...)
	if deadline := d.Spec.ProgressDeadlineSeconds; deadline != nil {
		at := path.Child("progressDeadlineSeconds")
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(*deadline), at)...)
		if *deadline <= d.Spec.MinReadySeconds {
			errs = append(errs, field.Invalid(at, *deadline, "must be greater than minReadySeconds"))
		}
	}
	if policy, set := d.Annotations[podReplacementPolicy]; set && !slices.Contains(podReplacementPolicies, policy) {
		at := field.NewPath("metadata", "annotations").Key(podReplacementPolicy)
		errs = append(errs, field.NotSupported(at, policy, podReplacementPolicies))
	}
	return errs
}

// podReplacementPolicy is an annotation of ours with the meaning that the
// field of the same name has in KEP-3973 (package rollout reads it).
const podReplacementPolicy = "coxswain.dev/pod-replacement-policy"

var podReplacementPolicies = []string{"TerminationStarted", "TerminationComplete"}

// ValidateDeploymentUpdate checks a changed Deployment.
func ValidateDeploymentUpdate(d, old *appsv1.Deployment) field.ErrorList {
	errs := ValidateDeployment(d)
	return append(errs, apivalidation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))...)
}

// ValidateDeploymentStatus checks a status against the one before.
func ValidateDeploymentStatus(status, old *appsv1.DeploymentStatus) field.ErrorList {
	path := field.NewPath("status")
	errs := nonnegativeCounts(path, status.ObservedGeneration,
		count{"replicas", status.Replicas}, count{"updatedReplicas", status.UpdatedReplicas}, count{"readyReplicas", status.ReadyReplicas},
		count{"availableReplicas", status.AvailableReplicas}, count{"unavailableReplicas", status.UnavailableReplicas})
	errs = append(errs, atMost(status.UpdatedReplicas, status.Replicas, path.Child("updatedReplicas"), "status.replicas")...)
	errs = append(errs, atMost(status.ReadyReplicas, status.Replicas, path.Child("readyReplicas"), "status.replicas")...)
	errs = append(errs, atMost(status.AvailableReplicas, status.Replicas, path.Child("availableReplicas"), "status.replicas")...)
	errs = append(errs, atMost(status.AvailableReplicas, status.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
	if old.CollisionCount != nil && (status.CollisionCount == nil || *status.CollisionCount < *old.CollisionCount) {
		errs = append(errs, field.Invalid(path.Child("collisionCount"), status.CollisionCount, "cannot be decremented"))
	}
	return errs
}

// count is a number of Pods in a status.
type count struct {
	name  string
	value int32
}

func nonnegativeCounts(path *field.Path, generation int64, counts ...count) field.ErrorList {
	errs := apivalidation.ValidateNonnegativeField(generation, path.Child("observedGeneration"))
	for _, c := range counts {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(c.value), path.Child(c.name))...)
	}
	return errs
}

func atMost(count, limit int32, path *field.Path, name string) field.ErrorList {
	if count > limit {
		return field.ErrorList{field.Invalid(path, count, "cannot be greater than "+name)}
	}
	return nil
}

// ValidateReplicaSet checks a defaulted ReplicaSet.
func ValidateReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	path := field.NewPath("spec")
	errs := nonnegative(rs.Spec.Replicas, path.Child("replicas"))
	errs = append(errs, apivalidation.ValidateNonnegativeField(int64(rs.Spec.MinReadySeconds), path.Child("minReadySeconds"))...)
	errs = append(errs, validateSelector(rs.Spec.Selector, &rs.Spec.Template, path, "invalid label selector")...)
	return append(errs, core.ValidateRestartAlways(&rs.Spec.Template, "ReplicaSet", path.Child("template"))...)
}

// ValidateReplicaSetUpdate checks a changed ReplicaSet.
func ValidateReplicaSetUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	errs := ValidateReplicaSet(rs)
	return append(errs, apivalidation.ValidateImmutableField(rs.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))...)
}

// ValidateReplicaSetStatus checks the numbers of a status.
func ValidateReplicaSetStatus(status *appsv1.ReplicaSetStatus) field.ErrorList {
	path := field.NewPath("status")
	errs := nonnegativeCounts(path, status.ObservedGeneration,
		count{"replicas", status.Replicas}, count{"fullyLabeledReplicas", status.FullyLabeledReplicas},
		count{"readyReplicas", status.ReadyReplicas}, count{"availableReplicas", status.AvailableReplicas})
	errs = append(errs, atMost(status.FullyLabeledReplicas, status.Replicas, path.Child("fullyLabeledReplicas"), "status.replicas")...)
	errs = append(errs, atMost(status.ReadyReplicas, status.Replicas, path.Child("readyReplicas"), "status.replicas")...)
	errs = append(errs, atMost(status.AvailableReplicas, status.Replicas, path.Child("availableReplicas"), "status.replicas")...)
	return append(errs, atMost(status.AvailableReplicas, status.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
}

func nonnegative(value *int32, path *field.Path) field.ErrorList {
	if value == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return apivalidation.ValidateNonnegativeField(int64(*value), path)
}

// validateSelector checks that a selector selects something, and the template.
func validateSelector(selector *metav1.LabelSelector, template *corev1.PodTemplateSpec, path *field.Path, invalid string) field.ErrorList {
	var errs field.ErrorList
	at := path.Child("selector")
	if selector == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, at)...)
		if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
			errs = append(errs, field.Invalid(at, selector, "empty selector is invalid for deployment"))
		}
	}
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return append(errs, field.Invalid(at, selector, invalid))
	}
	at = path.Child("template")
	if !compiled.Empty() && selector != nil && !compiled.Matches(labels.Set(template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("metadata", "labels"), template.Labels, "`selector` does not match template `labels`"))
	}
	return append(errs, core.ValidatePodTemplate(template, at)...)
}
