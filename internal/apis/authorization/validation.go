package authorization

import (
	"reflect"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateSubjectAccessReview checks a question about anybody.
func ValidateSubjectAccessReview(review *authorizationv1.SubjectAccessReview) field.ErrorList {
	errs := validateSubjectSpec(review.Spec, field.NewPath("spec"))
	return append(errs, validateNoMeta(review.ObjectMeta)...)
}

// ValidateLocalSubjectAccessReview checks a question about anybody within one
// namespace.
func ValidateLocalSubjectAccessReview(review *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := validateSubjectSpec(review.Spec, field.NewPath("spec"))
	meta := review.ObjectMeta
	meta.Namespace = ""
	errs = append(errs, validateNoMeta(meta)...)
	attributes := review.Spec.ResourceAttributes
	if attributes != nil && attributes.Namespace != review.Namespace {
		errs = append(errs, field.Invalid(field.NewPath("spec", "resourceAttributes", "namespace"), attributes.Namespace, "must match metadata.namespace"))
	}
	if review.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec", "nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	return errs
}

// ValidateSelfSubjectAccessReview checks a question about the caller.
func ValidateSelfSubjectAccessReview(review *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
	errs := validateAttributes(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes, field.NewPath("spec"))
	return append(errs, validateNoMeta(review.ObjectMeta)...)
}

func validateSubjectSpec(spec authorizationv1.SubjectAccessReviewSpec, at *field.Path) field.ErrorList {
	errs := validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes, at)
	if spec.User == "" && len(spec.Groups) == 0 {
		errs = append(errs, field.Invalid(at.Child("user"), spec.User, `at least one of user or group must be specified`))
	}
	return errs
}

func validateAttributes(resource *authorizationv1.ResourceAttributes, nonResource *authorizationv1.NonResourceAttributes, at *field.Path) field.ErrorList {
	switch {
	case resource != nil && nonResource != nil:
		return field.ErrorList{field.Invalid(at.Child("nonResourceAttributes"), nonResource, `cannot be specified in combination with resourceAttributes`)}
	case resource == nil && nonResource == nil:
		return field.ErrorList{field.Invalid(at.Child("resourceAttributes"), nonResource, `exactly one of nonResourceAttributes or resourceAttributes must be specified`)}
	default:
		return nil
	}
}

// validateNoMeta refuses metadata: a review is not stored.
func validateNoMeta(meta metav1.ObjectMeta) field.ErrorList {
	meta.ManagedFields = nil
	if reflect.DeepEqual(meta, metav1.ObjectMeta{}) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), meta, `must be empty except for namespace`)}
}
