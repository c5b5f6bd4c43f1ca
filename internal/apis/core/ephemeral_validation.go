package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const notEphemeral = "cannot be set for an Ephemeral Container"

// validateEphemeral checks the containers that were added to a running Pod.
func (c containers) validateEphemeral(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	targets := sets.New[string]()
	for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for _, container := range list {
			targets.Insert(container.Name)
		}
	}
	var errs field.ErrorList
	for i := range spec.EphemeralContainers {
		added, at := &spec.EphemeralContainers[i], path.Index(i)
		container := corev1.Container(added.EphemeralContainerCommon)
		errs = append(errs, c.validateOne(&container, at)...)
		if added.TargetContainerName != "" && !targets.Has(added.TargetContainerName) {
			errs = append(errs, field.NotFound(at.Child("targetContainerName"), added.TargetContainerName))
		}
		errs = append(errs, validateNotEphemeral(&container, at)...)
	}
	return errs
}

// validateNotEphemeral refuses what only makes sense for containers that
// belong to the Pod's work.
func validateNotEphemeral(container *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, part := range []struct {
		name string
		set  bool
	}{
		{"ports", len(container.Ports) > 0}, {"resources", len(container.Resources.Limits)+len(container.Resources.Requests) > 0},
		{"restartPolicy", container.RestartPolicy != nil}, {"livenessProbe", container.LivenessProbe != nil},
		{"readinessProbe", container.ReadinessProbe != nil}, {"startupProbe", container.StartupProbe != nil}, {"lifecycle", container.Lifecycle != nil},
	} {
		if part.set {
			errs = append(errs, field.Forbidden(path.Child(part.name), notEphemeral))
		}
	}
	for i, mount := range container.VolumeMounts {
		if mount.SubPath != "" {
			errs = append(errs, field.Forbidden(path.Child("volumeMounts").Index(i).Child("subPath"), notEphemeral))
		}
		if mount.SubPathExpr != "" {
			errs = append(errs, field.Forbidden(path.Child("volumeMounts").Index(i).Child("subPathExpr"), notEphemeral))
		}
	}
	return errs
}

// ValidateEphemeralUpdate lets ephemeral containers be added, and nothing else.
func ValidateEphemeralUpdate(pod, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("spec", "ephemeralContainers")
	if _, mirror := old.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	errs := validatePodSpec(&pod.Spec, true, field.NewPath("spec"))
	now := map[string]*corev1.EphemeralContainer{}
	for i := range pod.Spec.EphemeralContainers {
		now[pod.Spec.EphemeralContainers[i].Name] = &pod.Spec.EphemeralContainers[i]
	}
	for i := range old.Spec.EphemeralContainers {
		before := &old.Spec.EphemeralContainers[i]
		after, kept := now[before.Name]
		switch {
		case !kept:
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", before.Name)))
		case !equality.Semantic.DeepEqual(before, after):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be changed\n", before.Name)))
		}
	}
	return errs
}
