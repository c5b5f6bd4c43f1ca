package core

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateID checks the number of a user or a group.
func validateID(id *int64, path *field.Path) field.ErrorList {
	if id == nil || *id >= 0 && *id <= math.MaxInt32 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, *id, validation.InclusiveRangeError(0, math.MaxInt32))}
}

func validatePodSecurity(context *corev1.PodSecurityContext, path *field.Path) field.ErrorList {
	if context == nil {
		return nil
	}
	errs := validateID(context.FSGroup, path.Child("fsGroup"))
	errs = append(errs, validateID(context.RunAsUser, path.Child("runAsUser"))...)
	errs = append(errs, validateID(context.RunAsGroup, path.Child("runAsGroup"))...)
	for i := range context.SupplementalGroups {
		errs = append(errs, validateID(&context.SupplementalGroups[i], path.Child("supplementalGroups").Index(i))...)
	}
	return append(errs, validateSeccomp(context.SeccompProfile, path.Child("seccompProfile"))...)
}

func validateSecurity(context *corev1.SecurityContext, path *field.Path) field.ErrorList {
	if context == nil {
		return nil
	}
	errs := validateID(context.RunAsUser, path.Child("runAsUser"))
	errs = append(errs, validateID(context.RunAsGroup, path.Child("runAsGroup"))...)
	errs = append(errs, validateSeccomp(context.SeccompProfile, path.Child("seccompProfile"))...)
	escalates := context.AllowPrivilegeEscalation
	if escalates == nil || *escalates {
		return errs
	}
	if context.Privileged != nil && *context.Privileged {
		errs = append(errs, field.Invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
	}
	if capabilities := context.Capabilities; capabilities != nil {
		for _, capability := range capabilities.Add {
			if capability == "CAP_SYS_ADMIN" {
				errs = append(errs, field.Invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
			}
		}
	}
	return errs
}

func validateSeccomp(profile *corev1.SeccompProfile, path *field.Path) field.ErrorList {
	if profile == nil {
		return nil
	}
	errs := validateEnum(profile.Type, path.Child("type"), corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	local := path.Child("localhostProfile")
	switch {
	case profile.Type == corev1.SeccompProfileTypeLocalhost && profile.LocalhostProfile == nil:
		errs = append(errs, field.Required(local, "must be set when seccomp type is Localhost"))
	case profile.Type == corev1.SeccompProfileTypeLocalhost:
		errs = append(errs, validateLocalPath(*profile.LocalhostProfile, local)...)
	case profile.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(local, profile, "can only be set when seccomp type is Localhost"))
	}
	return errs
}
