package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateNamespace checks a new namespace beyond its metadata.
func ValidateNamespace(namespace *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	for _, finalizer := range namespace.Spec.Finalizers {
		errs = append(errs, validateFinalizer(string(finalizer), field.NewPath("spec", "finalizers"))...)
	}
	return errs
}

// ValidateNamespaceFinalize checks what namespaces/finalize writes.
func ValidateNamespaceFinalize(namespace *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	for i, finalizer := range namespace.Spec.Finalizers {
		errs = append(errs, validateFinalizer(string(finalizer), field.NewPath("spec", "finalizers").Index(i))...)
	}
	return errs
}

// ValidateNamespaceStatus wants a phase that goes with the deletion mark.
func ValidateNamespaceStatus(namespace *corev1.Namespace) field.ErrorList {
	path, phase := field.NewPath("status", "Phase"), namespace.Status.Phase
	switch {
	case namespace.DeletionTimestamp == nil && phase != corev1.NamespaceActive:
		return field.ErrorList{field.Invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty")}
	case namespace.DeletionTimestamp != nil && phase != corev1.NamespaceTerminating:
		return field.ErrorList{field.Invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")}
	}
	return nil
}

func validateFinalizer(name string, path *field.Path) field.ErrorList {
	errs := apivalidation.ValidateFinalizerName(name, path)
	if strings.Contains(name, "/") {
		return errs
	}
	switch name {
	case string(corev1.FinalizerKubernetes), metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents:
		return errs
	}
	return append(errs, field.Invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
}
