package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Guard keeps callers from handing out permissions that they lack, unless the
// verbs "escalate" and "bind" let them. Members of system:masters may do
// everything.
type Guard struct {
	policy     *Policy
	authorizer authorizer.UnconditionalAuthorizer
}

// NewGuard returns a guard that knows callers' rules from policy, and asks
// authorize (the server's whole authorization) about escalate and bind.
func NewGuard(policy *Policy, authorize authorizer.UnconditionalAuthorizer) *Guard {
	return &Guard{policy, authorize}
}

// MayGrant implements the rule for roles.
func (g *Guard) MayGrant(ctx context.Context, resource, namespace, name string, rules []rbacv1.PolicyRule) error {
	caller, err := callerOf(ctx)
	if err != nil || privileged(caller) || g.permitted(ctx, caller, "escalate", resource, namespace, name) {
		return err
	}
	return g.holds(caller, namespace, rules)
}

// MayBind implements the rule for bindings.
func (g *Guard) MayBind(ctx context.Context, namespace string, ref rbacv1.RoleRef) error {
	caller, err := callerOf(ctx)
	if err != nil || privileged(caller) {
		return err
	}
	resource := map[string]string{"Role": "roles", "ClusterRole": "clusterroles"}[ref.Kind]
	if g.permitted(ctx, caller, "bind", resource, namespace, ref.Name) {
		return nil
	}
	rules, err := g.policy.Rules(namespace, ref)
	if err != nil {
		return err
	}
	return g.holds(caller, namespace, rules)
}

func callerOf(ctx context.Context) (user.Info, error) {
	caller, ok := request.UserFrom(ctx)
	if !ok {
		return nil, errors.New("no user on context")
	}
	return caller, nil
}

func privileged(caller user.Info) bool {
	return slices.Contains(caller.GetGroups(), user.SystemPrivilegedGroup)
}

func (g *Guard) permitted(ctx context.Context, caller user.Info, verb, resource, namespace, name string) bool {
	decision, _, err := g.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: caller, Verb: verb, Namespace: namespace, Name: name, ResourceRequest: true,
		APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource,
	})
	return err == nil && decision == authorizer.DecisionAllow
}

// holds compares rules with what caller may do.
func (g *Guard) holds(caller user.Info, namespace string, rules []rbacv1.PolicyRule) error {
	held, problems := g.policy.UserRules(caller, namespace)
	covered, missing := validation.Covers(held, rules)
	if covered {
		return nil
	}
	message := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		caller.GetName(), caller.GetGroups(), strings.Join(describe(missing), "\n"))
	if problems != nil {
		message += fmt.Sprintf("; resolution errors: %v", problems)
	}
	return errors.New(message)
}

// describe writes rules one a line, those that differ in their verbs only
// together, in order.
func describe(rules []rbacv1.PolicyRule) []string {
	verbs := map[string][]string{}
	for _, rule := range rules {
		key := describeObjects(rule)
		for _, verb := range rule.Verbs {
			if !slices.Contains(verbs[key], verb) {
				verbs[key] = append(verbs[key], verb)
			}
		}
	}
	lines := make([]string, 0, len(verbs))
	for key, all := range verbs {
		lines = append(lines, fmt.Sprintf("{%s, Verbs:%q}", key, all))
	}
	slices.Sort(lines)
	return lines
}

func describeObjects(rule rbacv1.PolicyRule) string {
	var parts []string
	for _, part := range []struct {
		name   string
		values []string
	}{{"APIGroups", rule.APIGroups}, {"Resources", rule.Resources}, {"NonResourceURLs", rule.NonResourceURLs}, {"ResourceNames", rule.ResourceNames}} {
		if len(part.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", part.name, part.values))
		}
	}
	return strings.Join(parts, ", ")
}
