package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateEnv(env []corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, variable := range env {
		at := path.Index(i)
		if variable.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			for _, message := range validation.IsRelaxedEnvVarName(variable.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), variable.Name, message))
			}
		}
		if variable.ValueFrom != nil {
			errs = append(errs, validateEnvSource(variable, at.Child("valueFrom"))...)
		}
	}
	return errs
}

func validateEnvSource(variable corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	source, sources := variable.ValueFrom, 0
	if source.FieldRef != nil {
		sources++
		errs = append(errs, validateFieldRef(source.FieldRef, envFields, path.Child("fieldRef"))...)
	}
	if source.ResourceFieldRef != nil {
		sources++
		errs = append(errs, validateResourceRef(source.ResourceFieldRef, false, path.Child("resourceFieldRef"))...)
	}
	if source.ConfigMapKeyRef != nil {
		sources++
		errs = append(errs, validateKey(source.ConfigMapKeyRef.Key, path.Child("configMapKeyRef", "key"))...)
	}
	if source.SecretKeyRef != nil {
		sources++
		errs = append(errs, validateKey(source.SecretKeyRef.Key, path.Child("secretKeyRef", "key"))...)
	}
	if source.FileKeyRef != nil {
		sources++
	}
	switch {
	case sources == 0:
		errs = append(errs, field.Invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case variable.Value != "":
		errs = append(errs, field.Invalid(path, "", "may not be specified when `value` is not empty"))
	case sources > 1:
		errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func validateKey(key string, path *field.Path) field.ErrorList {
	if key == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(path, key, message))
	}
	return errs
}

func validateEnvFrom(sources []corev1.EnvFromSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, source := range sources {
		at := path.Index(i)
		if source.Prefix != "" {
			for _, message := range validation.IsRelaxedEnvVarName(source.Prefix) {
				errs = append(errs, field.Invalid(at.Child("prefix"), source.Prefix, message))
			}
		}
		count := 0
		if source.ConfigMapRef != nil {
			count++
			if source.ConfigMapRef.Name == "" {
				errs = append(errs, field.Required(at.Child("configMapRef", "name"), ""))
			}
		}
		if source.SecretRef != nil {
			count++
			if source.SecretRef.Name == "" {
				errs = append(errs, field.Required(at.Child("secretRef", "name"), ""))
			}
		}
		if count == 0 {
			errs = append(errs, field.Invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
		} else if count > 1 {
			errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}
