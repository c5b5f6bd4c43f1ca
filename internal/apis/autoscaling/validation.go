package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks a new autoscaler beyond its metadata.
func Validate(hpa *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	return validateSpec(&hpa.Spec, nil)
}

// ValidateUpdate checks an autoscaler that is changed. What was stored by rules
// that were less strict may stay as it is.
func ValidateUpdate(hpa, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	return validateSpec(&hpa.Spec, &old.Spec)
}

// ValidateStatus checks a new status.
func ValidateStatus(status *autoscalingv2.HorizontalPodAutoscalerStatus) field.ErrorList {
	at := field.NewPath("status")
	errs := apivalidation.ValidateNonnegativeField(int64(status.CurrentReplicas), at.Child("currentReplicas"))
	return append(errs, apivalidation.ValidateNonnegativeField(int64(status.DesiredReplicas), at.Child("desiredReplicas"))...)
}

// validateSpec checks a spec; old is nil for a new one.
func validateSpec(spec, old *autoscalingv2.HorizontalPodAutoscalerSpec) field.ErrorList {
	at := field.NewPath("spec")
	var errs field.ErrorList
	if spec.MinReplicas != nil && *spec.MinReplicas < 1 {
		errs = append(errs, field.Invalid(at.Child("minReplicas"), *spec.MinReplicas, "must be greater than or equal to 1"))
	}
	if spec.MaxReplicas == 0 {
		errs = append(errs, field.Required(at.Child("maxReplicas"), "must be set and greater than 0"))
	} else if spec.MaxReplicas < 0 {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), spec.MaxReplicas, "must be greater than 0"))
	}
	if spec.MinReplicas != nil && spec.MaxReplicas < *spec.MinReplicas {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), spec.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	target := spec.ScaleTargetRef
	errs = append(errs, validateReference(target, at.Child("scaleTargetRef"))...)
	if old == nil || old.ScaleTargetRef.APIVersion != target.APIVersion || old.ScaleTargetRef.Kind != target.Kind {
		// Of the core group only a ReplicationController can be scaled.
		errs = append(errs, validateVersion(target.APIVersion, target.Kind == "ReplicationController", at.Child("scaleTargetRef"))...)
	}
	errs = append(errs, validateMetrics(spec, at.Child("metrics"))...)
	if spec.Behavior != nil {
		errs = append(errs, validateRules(spec.Behavior.ScaleUp, at.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateRules(spec.Behavior.ScaleDown, at.Child("behavior", "scaleDown"))...)
	}
	return errs
}

func validateReference(ref autoscalingv2.CrossVersionObjectReference, at *field.Path) field.ErrorList {
	return append(validateSegment(ref.Kind, "", at.Child("kind")), validateSegment(ref.Name, "", at.Child("name"))...)
}

// validateSegment checks what is to be a part of a URL.
func validateSegment(text, missing string, at *field.Path) field.ErrorList {
	if text == "" {
		return field.ErrorList{field.Required(at, missing)}
	}
	var errs field.ErrorList
	for _, message := range path.IsValidPathSegmentName(text) {
		errs = append(errs, field.Invalid(at, text, message))
	}
	return errs
}

func validateVersion(version string, coreToo bool, at *field.Path) field.ErrorList {
	parsed, err := schema.ParseGroupVersion(version)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(at.Child("apiVersion"), version, err.Error())}
	case parsed.Group == "" && !coreToo:
		return field.ErrorList{field.Invalid(at.Child("apiVersion"), version, "apiVersion must specify API group")}
	}
	return nil
}

// The bounds of a behavior, in seconds.
const (
	maxPeriodSeconds              = 1800
	maxStabilizationWindowSeconds = 3600
)

var (
	selectPolicies = []autoscalingv2.ScalingPolicySelect{autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect}
	policyTypes    = []autoscalingv2.HPAScalingPolicyType{autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy}
)
