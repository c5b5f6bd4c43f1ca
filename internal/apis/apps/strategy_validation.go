package apps

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateStrategy(strategy *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	switch strategy.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if strategy.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(path.Child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'")}
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
		if strategy.RollingUpdate == nil {
			return field.ErrorList{field.Required(path.Child("rollingUpdate"), "this should be defaulted and never be nil")}
		}
		return validateRollingUpdate(strategy.RollingUpdate, path.Child("rollingUpdate"))
	default:
		return field.ErrorList{field.NotSupported(path, strategy, []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType})}
	}
}

func validateRollingUpdate(rolling *appsv1.RollingUpdateDeployment, path *field.Path) field.ErrorList {
	errs := ValidateIntOrPercent(*rolling.MaxUnavailable, path.Child("maxUnavailable"))
	errs = append(errs, ValidateIntOrPercent(*rolling.MaxSurge, path.Child("maxSurge"))...)
	if isZero(*rolling.MaxUnavailable) && isZero(*rolling.MaxSurge) {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), *rolling.MaxUnavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, ValidateAtMostAll(*rolling.MaxUnavailable, path.Child("maxUnavailable"))...)
}

// ValidateAtMostAll refuses more than 100 %.
func ValidateAtMostAll(value intstr.IntOrString, path *field.Path) field.ErrorList {
	if percent, ok := percentage(value); ok && percent > 100 {
		return field.ErrorList{field.Invalid(path, value, "must not be greater than 100%")}
	}
	return nil
}

// ValidateIntOrPercent refuses what is neither a count, from 0, nor a percentage.
func ValidateIntOrPercent(value intstr.IntOrString, path *field.Path) field.ErrorList {
	if value.Type == intstr.Int {
		return apivalidation.ValidateNonnegativeField(int64(value.IntVal), path)
	}
	var errs field.ErrorList
	for _, message := range validation.IsValidPercent(value.StrVal) {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}

func percentage(value intstr.IntOrString) (int, bool) {
	if value.Type == intstr.Int || len(validation.IsValidPercent(value.StrVal)) != 0 {
		return 0, false
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(value.StrVal, "%"))
	return percent, err == nil
}

func isZero(value intstr.IntOrString) bool {
	if percent, ok := percentage(value); ok {
		return percent == 0
	}
	return value.Type == intstr.Int && value.IntVal == 0
}
