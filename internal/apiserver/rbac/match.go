package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// allows tells if one rule permits a request.
func allows(rule *rbacv1.PolicyRule, request authorizer.Attributes) bool {
	if !has(rule.Verbs, request.GetVerb()) {
		return false
	}
	if !request.IsResourceRequest() {
		return urlMatches(rule.NonResourceURLs, request.GetPath())
	}
	return has(rule.APIGroups, request.GetAPIGroup()) &&
		resourceMatches(rule.Resources, request.GetResource(), request.GetSubresource()) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, request.GetName()))
}

// has tells if a list names value, or everything.
func has(list []string, value string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, value)
}

// resourceMatches knows "pods", "pods/log", "*/scale" and "*".
func resourceMatches(resources []string, resource, subresource string) bool {
	whole := resource
	if subresource != "" {
		whole += "/" + subresource
	}
	return has(resources, whole) || subresource != "" && slices.Contains(resources, "*/"+subresource)
}

// urlMatches knows "/healthz", "/api/*" and "*".
func urlMatches(patterns []string, path string) bool {
	for _, pattern := range patterns {
		prefix, open := strings.CutSuffix(pattern, "*")
		if pattern == path || open && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// subject returns the one among a binding's subjects that caller is, or nil.
// namespace is the binding's, or empty.
func subject(subjects []rbacv1.Subject, caller user.Info, namespace string) *rbacv1.Subject {
	for i := range subjects {
		if isSubject(&subjects[i], caller, namespace) {
			return &subjects[i]
		}
	}
	return nil
}

func isSubject(s *rbacv1.Subject, caller user.Info, namespace string) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return caller.GetName() == s.Name
	case rbacv1.GroupKind:
		return slices.Contains(caller.GetGroups(), s.Name)
	case rbacv1.ServiceAccountKind:
		if s.Namespace != "" {
			namespace = s.Namespace
		}
		return namespace != "" && serviceaccount.MatchesUsername(namespace, s.Name, caller.GetName())
	default:
		return false
	}
}
