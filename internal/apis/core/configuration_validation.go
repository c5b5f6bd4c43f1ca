package core

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateConfigMap checks keys and the total size.
func ValidateConfigMap(obj *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for _, key := range byName(obj.Data) {
		errs = append(errs, validateDataKey(key, field.NewPath("data").Key(key))...)
		if _, both := obj.BinaryData[key]; both {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
		size += len(obj.Data[key])
	}
	for _, key := range byName(obj.BinaryData) {
		errs = append(errs, validateDataKey(key, field.NewPath("binaryData").Key(key))...)
		size += len(obj.BinaryData[key])
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

func validateDataKey(key string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(path, key, message))
	}
	return errs
}

// ValidateConfigMapUpdate keeps an immutable ConfigMap as it is.
func ValidateConfigMapUpdate(obj, old *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	if old.Immutable != nil && *old.Immutable {
		if obj.Immutable == nil || !*obj.Immutable {
			errs = append(errs, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
		}
		if !equality.Semantic.DeepEqual(obj.Data, old.Data) {
			errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
		}
		if !equality.Semantic.DeepEqual(obj.BinaryData, old.BinaryData) {
			errs = append(errs, field.Forbidden(field.NewPath("binaryData"), "field is immutable when `immutable` is set"))
		}
	}
	return append(errs, ValidateConfigMap(obj)...)
}

// ValidateSecret checks keys, the total size, and what a type requires.
func ValidateSecret(obj *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	data := field.NewPath("data")
	size := 0
	for _, key := range byName(obj.Data) {
		errs = append(errs, validateDataKey(key, data.Key(key))...)
		size += len(obj.Data[key])
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(data, "", corev1.MaxSecretSize))
	}
	return append(errs, validateSecretType(obj, data)...)
}

// validateSecretType asks for the keys that a type promises.
func validateSecretType(obj *corev1.Secret, data *field.Path) field.ErrorList {
	switch obj.Type {
	case corev1.SecretTypeServiceAccountToken:
		if obj.Annotations[corev1.ServiceAccountNameKey] == "" {
			return field.ErrorList{field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), "")}
		}
	case corev1.SecretTypeDockercfg:
		return validateDockerConfig(obj, corev1.DockerConfigKey, data)
	case corev1.SecretTypeDockerConfigJson:
		return validateDockerConfig(obj, corev1.DockerConfigJsonKey, data)
	case corev1.SecretTypeBasicAuth:
		if missing := missingKeys(obj, data, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey); len(missing) == 2 {
			return missing // one of them is enough
		}
	case corev1.SecretTypeSSHAuth:
		if len(obj.Data[corev1.SSHAuthPrivateKey]) == 0 {
			return field.ErrorList{field.Required(data.Key(corev1.SSHAuthPrivateKey), "")}
		}
	case corev1.SecretTypeTLS:
		return missingKeys(obj, data, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return nil
}

func missingKeys(obj *corev1.Secret, data *field.Path, keys ...string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range keys {
		if _, there := obj.Data[key]; !there {
			errs = append(errs, field.Required(data.Key(key), ""))
		}
	}
	return errs
}

func validateDockerConfig(obj *corev1.Secret, key string, data *field.Path) field.ErrorList {
	content, there := obj.Data[key]
	if !there {
		return field.ErrorList{field.Required(data.Key(key), "")}
	}
	if err := json.Unmarshal(content, &map[string]any{}); err != nil {
		return field.ErrorList{field.Invalid(data.Key(key), "<secret contents redacted>", err.Error())}
	}
	return nil
}

// ValidateSecretUpdate keeps the type, and an immutable Secret as it is.
func ValidateSecretUpdate(obj, old *corev1.Secret) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(obj.Type, old.Type, field.NewPath("type"))
	if old.Immutable != nil && *old.Immutable {
		if obj.Immutable == nil || !*obj.Immutable {
			errs = append(errs, field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set"))
		}
		if !equality.Semantic.DeepEqual(obj.Data, old.Data) {
			errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
		}
	}
	return append(errs, ValidateSecret(obj)...)
}
