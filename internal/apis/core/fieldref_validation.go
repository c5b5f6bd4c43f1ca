package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// envFields and volumeFields are what a Pod can be told of itself, by
// environment variables and by files.
var (
	envFields    = []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
	volumeFields = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	// podFields are all that the API knows; the two above may be less.
	podFields = append([]string{"metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"}, envFields...)
	// containerAmounts are the resources a container can be told of.
	containerAmounts = []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"}
)

// validateFieldRef checks a path such as metadata.name or
// metadata.labels['tier'].
func validateFieldRef(ref *corev1.ObjectFieldSelector, allowed []string, path *field.Path) field.ErrorList {
	at := path.Child("fieldPath")
	if ref.APIVersion == "" {
		return field.ErrorList{field.Required(path.Child("apiVersion"), "")}
	}
	if ref.FieldPath == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	if owner, key, subscripted := subscript(ref.FieldPath); subscripted {
		return validateSubscript(ref.FieldPath, owner, key, at)
	}
	if ref.APIVersion != "v1" {
		return field.ErrorList{field.Invalid(at, ref.FieldPath, fmt.Sprintf("error converting fieldPath: unsupported pod version: %s", ref.APIVersion))}
	}
	if !slices.Contains(podFields, ref.FieldPath) {
		return field.ErrorList{field.Invalid(at, ref.FieldPath, "error converting fieldPath: field label not supported: "+ref.FieldPath)}
	}
	if !slices.Contains(allowed, ref.FieldPath) {
		return field.ErrorList{field.NotSupported(at, ref.FieldPath, allowed)}
	}
	return nil
}

// subscript cuts metadata.labels['tier'] into its map and its key.
func subscript(path string) (owner, key string, ok bool) {
	inner, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	owner, key, ok = strings.Cut(inner, "['")
	return owner, key, ok && owner != ""
}

func validateSubscript(whole, owner, key string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch owner {
	case "metadata.annotations":
		// Keys are compared without regard to case.
		for _, message := range validation.IsQualifiedName(strings.ToLower(key)) {
			errs = append(errs, field.Invalid(path, whole, message))
		}
	case "metadata.labels":
		for _, message := range validation.IsQualifiedName(key) {
			errs = append(errs, field.Invalid(path, whole, message))
		}
	default:
		errs = append(errs, field.Invalid(path, owner, "does not support subscript"))
	}
	return errs
}

// validateResourceRef checks what a container is told of its resources. In a
// volume the container must be named.
func validateResourceRef(ref *corev1.ResourceFieldSelector, volume bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case volume && ref.ContainerName == "":
		return append(errs, field.Required(path.Child("containerName"), ""))
	case ref.Resource == "":
		return append(errs, field.Required(path.Child("resource"), ""))
	case !slices.Contains(containerAmounts, ref.Resource) && !strings.HasPrefix(ref.Resource, "requests.hugepages-") && !strings.HasPrefix(ref.Resource, "limits.hugepages-"):
		errs = append(errs, field.NotSupported(path.Child("resource"), ref.Resource, containerAmounts))
	}
	return append(errs, validateDivisor(ref, path.Child("divisor"))...)
}

// validateDivisor allows the units that an amount can be told in.
func validateDivisor(ref *corev1.ResourceFieldSelector, path *field.Path) field.ErrorList {
	divisor := ref.Divisor.String()
	if divisor == "0" {
		return nil // not given
	}
	_, resource, _ := strings.Cut(ref.Resource, ".")
	switch {
	case resource == "cpu" && divisor != "1m" && divisor != "1":
		return field.ErrorList{field.Invalid(path, "cpu", "only divisor's values 1m and 1 are supported with the cpu resource")}
	case (resource == "memory" || resource == "ephemeral-storage") && !slices.Contains(byteUnits, divisor):
		return field.ErrorList{field.Invalid(path, resource, fmt.Sprintf("only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the %s resource", localName(resource)))}
	}
	return nil
}

var byteUnits = []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}

// localName is how the message about divisors spells a resource.
func localName(resource string) string {
	if resource == "ephemeral-storage" {
		return "local ephemeral storage"
	}
	return resource
}

// validateFileMode checks permission bits.
func validateFileMode(mode *int32, path *field.Path) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return field.ErrorList{field.Invalid(path, *mode, "must be a number between 0 and 0777 (octal), both inclusive")}
	}
	return nil
}

// validateKeyToPath checks which key becomes which file.
func validateKeyToPath(items []corev1.KeyToPath, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, item := range items {
		at := path.Index(i)
		if item.Key == "" {
			errs = append(errs, field.Required(at.Child("key"), ""))
		}
		errs = append(errs, validateFilePath(item.Path, at.Child("path"))...)
		errs = append(errs, validateFileMode(item.Mode, at.Child("mode"))...)
	}
	return errs
}

// validateFilePath wants the name of a file inside a volume.
func validateFilePath(path string, at *field.Path) field.ErrorList {
	if path == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	errs := validateLocalPath(path, at)
	if strings.HasPrefix(path, "..") && len(errs) == 0 {
		errs = append(errs, field.Invalid(at, path, "must not start with '..'"))
	}
	return errs
}
