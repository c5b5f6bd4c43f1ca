package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateReplicationController checks a defaulted ReplicationController.
func ValidateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	path := field.NewPath("spec")
	errs := apivalidation.ValidateNonnegativeField(int64(rc.Spec.MinReadySeconds), path.Child("minReadySeconds"))
	if len(rc.Spec.Selector) == 0 {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	}
	if rc.Spec.Replicas == nil {
		errs = append(errs, field.Required(path.Child("replicas"), ""))
	} else {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(*rc.Spec.Replicas), path.Child("replicas"))...)
	}
	template := path.Child("template")
	if rc.Spec.Template == nil {
		return append(errs, field.Required(template, ""))
	}
	if selector := labels.Set(rc.Spec.Selector).AsSelectorPreValidated(); !selector.Empty() && !selector.Matches(labels.Set(rc.Spec.Template.Labels)) {
		errs = append(errs, field.Invalid(template.Child("metadata", "labels"), rc.Spec.Template.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, ValidatePodTemplate(rc.Spec.Template, template)...)
	return append(errs, ValidateRestartAlways(rc.Spec.Template, "ReplicationController", template)...)
}

// ValidateReplicationControllerStatus checks the numbers of a status.
func ValidateReplicationControllerStatus(status *corev1.ReplicationControllerStatus) field.ErrorList {
	path := field.NewPath("status")
	var errs field.ErrorList
	for _, number := range []struct {
		name  string
		value int64
	}{{"replicas", int64(status.Replicas)}, {"fullyLabeledReplicas", int64(status.FullyLabeledReplicas)}, {"readyReplicas", int64(status.ReadyReplicas)},
		{"availableReplicas", int64(status.AvailableReplicas)}, {"observedGeneration", status.ObservedGeneration}} {
		errs = append(errs, apivalidation.ValidateNonnegativeField(number.value, path.Child(number.name))...)
	}
	for _, most := range []struct {
		name         string
		value, limit int32
		of           string
	}{{"fullyLabeledReplicas", status.FullyLabeledReplicas, status.Replicas, "status.replicas"}, {"readyReplicas", status.ReadyReplicas, status.Replicas, "status.replicas"},
		{"availableReplicas", status.AvailableReplicas, status.Replicas, "status.replicas"}, {"availableReplicas", status.AvailableReplicas, status.ReadyReplicas, "readyReplicas"}} {
		if most.value > most.limit {
			errs = append(errs, field.Invalid(path.Child(most.name), most.value, "cannot be greater than "+most.of))
		}
	}
	return errs
}

// ValidateRestartAlways is for the templates of controllers that keep Pods
// running; kind is what the words call such a one.
func ValidateRestartAlways(template *corev1.PodTemplateSpec, kind string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if policy := template.Spec.RestartPolicy; policy != "" && policy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), policy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if template.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in "+kind+" is not Supported"))
	}
	return errs
}
