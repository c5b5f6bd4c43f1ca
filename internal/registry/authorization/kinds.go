package authorization

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	api "coxswain.dev/cox/internal/apis/authorization"
	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds(authorize authorizer.UnconditionalAuthorizer, rules authorizer.RuleResolver) []registry.Builder {
	return []registry.Builder{
		subjectAccessReview(authorize), localSubjectAccessReview(authorize),
		selfSubjectAccessReview(authorize), selfSubjectRulesReview(rules),
	}
}

func subjectAccessReview(authorize authorizer.UnconditionalAuthorizer) registry.Review[*authorizationv1.SubjectAccessReview] {
	return registry.Review[*authorizationv1.SubjectAccessReview]{
		Version: authorizationv1.SchemeGroupVersion, Resource: "subjectaccessreviews", Singular: "subjectaccessreview", ClusterScoped: true,
		New: func() *authorizationv1.SubjectAccessReview { return &authorizationv1.SubjectAccessReview{} },
		Answer: func(ctx context.Context, review *authorizationv1.SubjectAccessReview) error {
			if errs := api.ValidateSubjectAccessReview(review); len(errs) > 0 {
				return invalid("SubjectAccessReview", errs)
			}
			review.Status = decide(ctx, authorize, subjectOf(review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
			return nil
		},
	}
}

func localSubjectAccessReview(authorize authorizer.UnconditionalAuthorizer) registry.Review[*authorizationv1.LocalSubjectAccessReview] {
	return registry.Review[*authorizationv1.LocalSubjectAccessReview]{
		Version: authorizationv1.SchemeGroupVersion, Resource: "localsubjectaccessreviews", Singular: "localsubjectaccessreview",
		New: func() *authorizationv1.LocalSubjectAccessReview { return &authorizationv1.LocalSubjectAccessReview{} },
		Answer: func(ctx context.Context, review *authorizationv1.LocalSubjectAccessReview) error {
			if errs := api.ValidateLocalSubjectAccessReview(review); len(errs) > 0 {
				return invalid("LocalSubjectAccessReview", errs)
			}
			namespace := request.NamespaceValue(ctx)
			if namespace == "" {
				return errors.NewBadRequest("namespace is required on this type")
			}
			if namespace != review.Namespace {
				return errors.NewBadRequest("spec.resourceAttributes.namespace must match namespace: " + namespace)
			}
			review.Status = decide(ctx, authorize, subjectOf(review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
			return nil
		},
	}
}

func selfSubjectAccessReview(authorize authorizer.UnconditionalAuthorizer) registry.Review[*authorizationv1.SelfSubjectAccessReview] {
	return registry.Review[*authorizationv1.SelfSubjectAccessReview]{
		Version: authorizationv1.SchemeGroupVersion, Resource: "selfsubjectaccessreviews", Singular: "selfsubjectaccessreview", ClusterScoped: true,
		New: func() *authorizationv1.SelfSubjectAccessReview { return &authorizationv1.SelfSubjectAccessReview{} },
		Answer: func(ctx context.Context, review *authorizationv1.SelfSubjectAccessReview) error {
			if errs := api.ValidateSelfSubjectAccessReview(review); len(errs) > 0 {
				return invalid("SelfSubjectAccessReview", errs)
			}
			caller, ok := request.UserFrom(ctx)
			if !ok {
				return errors.NewBadRequest("no user present on request")
			}
			review.Status = decide(ctx, authorize, caller, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
			return nil
		},
	}
}

func selfSubjectRulesReview(rules authorizer.RuleResolver) registry.Review[*authorizationv1.SelfSubjectRulesReview] {
	return registry.Review[*authorizationv1.SelfSubjectRulesReview]{
		Version: authorizationv1.SchemeGroupVersion, Resource: "selfsubjectrulesreviews", Singular: "selfsubjectrulesreview", ClusterScoped: true,
		New: func() *authorizationv1.SelfSubjectRulesReview { return &authorizationv1.SelfSubjectRulesReview{} },
		Answer: func(ctx context.Context, review *authorizationv1.SelfSubjectRulesReview) error {
			caller, ok := request.UserFrom(ctx)
			if !ok {
				return errors.NewBadRequest("no user present on request")
			}
			if review.Spec.Namespace == "" {
				return errors.NewBadRequest("no namespace on request")
			}
			review.Status = listRules(ctx, rules, caller, review.Spec.Namespace)
			return nil
		},
	}
}

func listRules(ctx context.Context, rules authorizer.RuleResolver, caller user.Info, namespace string) authorizationv1.SubjectRulesReviewStatus {
	resources, urls, incomplete, err := rules.RulesFor(ctx, caller, namespace)
	status := authorizationv1.SubjectRulesReviewStatus{
		Incomplete:       incomplete,
		ResourceRules:    make([]authorizationv1.ResourceRule, 0, len(resources)),
		NonResourceRules: make([]authorizationv1.NonResourceRule, 0, len(urls)),
	}
	for _, rule := range resources {
		status.ResourceRules = append(status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.GetVerbs(), APIGroups: rule.GetAPIGroups(), Resources: rule.GetResources(), ResourceNames: rule.GetResourceNames()})
	}
	for _, rule := range urls {
		status.NonResourceRules = append(status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: rule.GetVerbs(), NonResourceURLs: rule.GetNonResourceURLs()})
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status
}

func invalid(kind string, errs field.ErrorList) error {
	return errors.NewInvalid(schema.GroupKind{Group: authorizationv1.GroupName, Kind: kind}, "", errs)
}
