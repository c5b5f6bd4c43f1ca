package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	minTokenSeconds = 10 * 60
	maxTokenSeconds = 1 << 32
)

// validateProjected checks a volume made of several sources: no two of them
// may write the same file.
func validateProjected(volume *corev1.ProjectedVolumeSource, path *field.Path) field.ErrorList {
	errs := validateFileMode(volume.DefaultMode, path.Child("defaultMode"))
	taken := sets.New[string]()
	claim := func(file, shown string) {
		if file != "" && taken.Has(file) {
			errs = append(errs, field.Invalid(path, shown, "conflicting duplicate paths"))
		}
		taken.Insert(file)
	}
	for i, source := range volume.Sources {
		at := path.Child("sources").Index(i)
		count := 0
		if secret := source.Secret; secret != nil {
			count++
			errs = append(errs, validateNamedFiles(secret.Name, "name", nil, secret.Items, at.Child("secret"))...)
			for _, item := range secret.Items {
				claim(item.Path, secret.Name)
			}
		}
		if configMap := source.ConfigMap; configMap != nil {
			count++
			errs = append(errs, validateNamedFiles(configMap.Name, "name", nil, configMap.Items, at.Child("configMap"))...)
			for _, item := range configMap.Items {
				claim(item.Path, configMap.Name)
			}
		}
		if downward := source.DownwardAPI; downward != nil {
			count++
			for j := range downward.Items {
				errs = append(errs, validateDownwardFile(&downward.Items[j], at.Child("downwardAPI"))...)
				claim(downward.Items[j].Path, downward.Items[j].Path)
			}
		}
		if token := source.ServiceAccountToken; token != nil {
			count++
			errs = append(errs, validateTokenFile(token, at.Child("serviceAccountToken"), path)...)
		}
		if count > 1 {
			errs = append(errs, field.Forbidden(at, "may not specify more than 1 volume type"))
		}
	}
	return errs
}

// validateTokenFile checks how long a token lives and where it lies; errors of
// its path name the volume only.
func validateTokenFile(token *corev1.ServiceAccountTokenProjection, path, volume *field.Path) field.ErrorList {
	var errs field.ErrorList
	if seconds := token.ExpirationSeconds; seconds != nil && *seconds < minTokenSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *seconds, "may not specify a duration less than 10 minutes"))
	} else if seconds != nil && *seconds > maxTokenSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	return append(errs, validateFilePath(token.Path, volume.Child("path"))...)
}
