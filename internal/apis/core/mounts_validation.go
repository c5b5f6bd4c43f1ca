package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateMounts(mounts []corev1.VolumeMount, volumes sets.Set[string], privileged bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	paths := sets.New[string]()
	for i, mount := range mounts {
		at := path.Index(i)
		if mount.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else if !volumes.Has(mount.Name) {
			errs = append(errs, field.NotFound(at.Child("name"), mount.Name))
		}
		if mount.MountPath == "" {
			errs = append(errs, field.Required(at.Child("mountPath"), ""))
		}
		if paths.Has(mount.MountPath) {
			errs = append(errs, field.Invalid(at.Child("mountPath"), mount.MountPath, "must be unique"))
		}
		paths.Insert(mount.MountPath)
		if mount.SubPath != "" {
			errs = append(errs, validateLocalPath(mount.SubPath, at.Child("subPath"))...)
		}
		if mount.SubPathExpr != "" {
			if mount.SubPath != "" {
				errs = append(errs, field.Invalid(at.Child("subPathExpr"), mount.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
			}
			errs = append(errs, validateLocalPath(mount.SubPathExpr, at.Child("subPathExpr"))...)
		}
		errs = append(errs, validatePropagation(mount.MountPropagation, privileged, at.Child("mountPropagation"))...)
	}
	return errs
}

// validatePropagation keeps mounts inside of containers that may not change
// the machine's.
func validatePropagation(mode *corev1.MountPropagationMode, privileged bool, path *field.Path) field.ErrorList {
	if mode == nil {
		return nil
	}
	if *mode == corev1.MountPropagationBidirectional && !privileged {
		return field.ErrorList{field.Forbidden(path, "Bidirectional mount propagation is available only to privileged containers")}
	}
	return validateEnum(*mode, path, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
}

// validateLocalPath keeps a path inside the place it is relative to.
func validateLocalPath(path string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(path, "/") {
		errs = append(errs, field.Invalid(at, path, "must be a relative path"))
	}
	return append(errs, validateNoBacksteps(path, at)...)
}

func validateNoBacksteps(path string, at *field.Path) field.ErrorList {
	if slices.Contains(strings.Split(path, "/"), "..") {
		return field.ErrorList{field.Invalid(at, path, "must not contain '..'")}
	}
	return nil
}
