package authorization

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// decide asks the server's authorizer.
func decide(ctx context.Context, authorize authorizer.UnconditionalAuthorizer, subject user.Info, resource *authorizationv1.ResourceAttributes, url *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	asked := authorizer.AttributesRecord{User: subject}
	if resource != nil {
		asked.ResourceRequest = true
		asked.Verb, asked.Namespace, asked.Name = resource.Verb, resource.Namespace, resource.Name
		asked.APIGroup, asked.APIVersion = resource.Group, resource.Version
		asked.Resource, asked.Subresource = resource.Resource, resource.Subresource
		if resource.FieldSelector != nil {
			asked.FieldSelectorRequirements = fieldRequirements(resource.FieldSelector.Requirements)
		}
		if resource.LabelSelector != nil {
			asked.LabelSelectorRequirements = labelRequirements(resource.LabelSelector.Requirements)
		}
	} else {
		asked.Verb, asked.Path = url.Verb, url.Path
	}
	decision, reason, err := authorize.Authorize(ctx, asked)
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status
}

func subjectOf(spec authorizationv1.SubjectAccessReviewSpec) user.Info {
	extra := make(map[string][]string, len(spec.Extra))
	for key, values := range spec.Extra {
		extra[key] = values
	}
	return &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups, Extra: extra}
}

// fieldRequirements and labelRequirements leave out what is not understood:
// a wider question is the safe one.
func fieldRequirements(asked []metav1.FieldSelectorRequirement) fields.Requirements {
	var requirements fields.Requirements
	for _, r := range asked {
		switch {
		case r.Operator == metav1.FieldSelectorOpIn && len(r.Values) == 1:
			requirements = append(requirements, fields.Requirement{Operator: selection.Equals, Field: r.Key, Value: r.Values[0]})
		case r.Operator == metav1.FieldSelectorOpNotIn && len(r.Values) == 1:
			requirements = append(requirements, fields.Requirement{Operator: selection.NotEquals, Field: r.Key, Value: r.Values[0]})
		}
	}
	return requirements
}

func labelRequirements(asked []metav1.LabelSelectorRequirement) labels.Requirements {
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: asked})
	if err != nil {
		return nil
	}
	requirements, _ := selector.Requirements()
	return requirements
}
