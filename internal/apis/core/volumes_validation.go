package core

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateVolumes returns the names that containers can mount.
func validateVolumes(volumes []corev1.Volume, path *field.Path) (sets.Set[string], field.ErrorList) {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, volume := range volumes {
		at := path.Index(i)
		named := validateVolumeName(volume.Name, at.Child("name"))
		if len(named) == 0 && names.Has(volume.Name) {
			named = append(named, field.Duplicate(at.Child("name"), volume.Name))
		}
		names.Insert(volume.Name)
		errs = append(errs, validateVolumeSource(&volume.VolumeSource, at)...)
		errs = append(errs, named...)
	}
	return names, errs
}

func validateVolumeName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	return errs
}

// validateVolumeSource wants one source. Those that this node cannot mount are
// accepted as they are: the Pod may run elsewhere.
func validateVolumeSource(source *corev1.VolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	first := ""
	for _, name := range sourcesOf(source) {
		if first != "" {
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 volume type"))
			continue
		}
		first = name
	}
	at := path.Child(first)
	switch first {
	case "":
		errs = append(errs, field.Required(path, "must specify a volume type"))
	case "emptyDir":
		if limit := source.EmptyDir.SizeLimit; limit != nil && limit.Sign() < 0 {
			errs = append(errs, field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
		}
	case "hostPath":
		errs = append(errs, validateHostPath(source.HostPath, at)...)
	case "secret":
		errs = append(errs, validateNamedFiles(source.Secret.SecretName, "secretName", source.Secret.DefaultMode, source.Secret.Items, at)...)
	case "configMap":
		errs = append(errs, validateNamedFiles(source.ConfigMap.Name, "name", source.ConfigMap.DefaultMode, source.ConfigMap.Items, at)...)
	case "downwardAPI":
		errs = append(errs, validateFileMode(source.DownwardAPI.DefaultMode, at.Child("defaultMode"))...)
		for i := range source.DownwardAPI.Items {
			errs = append(errs, validateDownwardFile(&source.DownwardAPI.Items[i], at)...)
		}
	case "projected":
		errs = append(errs, validateProjected(source.Projected, at)...)
	case "persistentVolumeClaim":
		if source.PersistentVolumeClaim.ClaimName == "" {
			errs = append(errs, field.Required(at.Child("claimName"), ""))
		}
	}
	return errs
}

// sourcesOf lists the sources that are set, by their names in the API. An
// emptyDir comes first: it is what is complained about least.
func sourcesOf(source *corev1.VolumeSource) []string {
	var names []string
	value := reflect.ValueOf(source).Elem()
	for i := range value.NumField() {
		if value.Field(i).IsNil() {
			continue
		}
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		if name == "emptyDir" {
			names = append([]string{name}, names...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

func validateHostPath(source *corev1.HostPathVolumeSource, path *field.Path) field.ErrorList {
	if source.Path == "" {
		return field.ErrorList{field.Required(path.Child("path"), "")}
	}
	errs := validateNoBacksteps(source.Path, path.Child("path"))
	if kind := source.Type; kind != nil && *kind != corev1.HostPathUnset {
		errs = append(errs, validateEnum(*kind, path.Child("type"), corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory,
			corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)...)
	}
	return errs
}

// validateNamedFiles checks a volume of a Secret or a ConfigMap.
func validateNamedFiles(name, nameField string, mode *int32, items []corev1.KeyToPath, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path.Child(nameField), ""))
	}
	errs = append(errs, validateFileMode(mode, path.Child("defaultMode"))...)
	return append(errs, validateKeyToPath(items, path.Child("items"))...)
}

// validateDownwardFile checks one file; its errors name the volume only.
func validateDownwardFile(file *corev1.DownwardAPIVolumeFile, path *field.Path) field.ErrorList {
	errs := validateFilePath(file.Path, path.Child("path"))
	switch {
	case file.FieldRef != nil:
		errs = append(errs, validateFieldRef(file.FieldRef, volumeFields, path.Child("fieldRef"))...)
		if file.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case file.ResourceFieldRef != nil:
		errs = append(errs, validateResourceRef(file.ResourceFieldRef, true, path.Child("resourceFieldRef"))...)
	default:
		errs = append(errs, field.Required(path, "one of fieldRef and resourceFieldRef is required"))
	}
	return append(errs, validateFileMode(file.Mode, path.Child("mode"))...)
}
