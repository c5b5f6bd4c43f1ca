package rbac

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	listers "k8s.io/client-go/listers/rbac/v1"
)

// Source reads the roles and bindings in force.
type Source struct {
	Roles               listers.RoleLister
	RoleBindings        listers.RoleBindingLister
	ClusterRoles        listers.ClusterRoleLister
	ClusterRoleBindings listers.ClusterRoleBindingLister
}

// Policy answers from a Source. It implements authorizer.Authorizer and
// authorizer.RuleResolver.
type Policy struct {
	authorizer.AuthorizerFunc
	source Source
}

var (
	_ authorizer.Authorizer   = &Policy{}
	_ authorizer.RuleResolver = &Policy{}
)

// NewPolicy returns a policy over source.
func NewPolicy(source Source) *Policy {
	p := &Policy{source: source}
	p.AuthorizerFunc = p.authorize
	return p
}

// authorize looks for a rule that permits the request. RBAC only allows, it
// never denies: another authorizer may still say yes.
func (p *Policy) authorize(_ context.Context, request authorizer.Attributes) (authorizer.Decision, string, error) {
	reason := ""
	problems := p.visit(request.GetUser(), request.GetNamespace(), func(g grant, rule *rbacv1.PolicyRule) bool {
		if !allows(rule, request) {
			return true
		}
		reason = "RBAC: allowed by " + g.String()
		return false
	})
	if reason != "" {
		return authorizer.DecisionAllow, reason, nil
	}
	if err := utilerrors.NewAggregate(problems); err != nil {
		reason = fmt.Sprintf("RBAC: %v", err)
	}
	return authorizer.DecisionNoOpinion, reason, nil
}

// grant is how a rule reaches a user: through a binding of a role to a
// subject.
type grant struct {
	namespace, binding string // namespace is empty for a ClusterRoleBinding
	role               rbacv1.RoleRef
	subject            *rbacv1.Subject
}

// String words it as upstream does: `ClusterRoleBinding "a" of ClusterRole
// "b" to Group "c"`.
func (g grant) String() string {
	binding := fmt.Sprintf("ClusterRoleBinding %q", g.binding)
	if g.namespace != "" {
		binding = fmt.Sprintf("RoleBinding %q", g.binding+"/"+g.namespace)
	}
	to := fmt.Sprintf("%s %q", g.subject.Kind, g.subject.Name)
	if g.subject.Kind == rbacv1.ServiceAccountKind {
		to = fmt.Sprintf("%s %q", g.subject.Kind, g.subject.Name+"/"+g.subject.Namespace)
	}
	return fmt.Sprintf("%s of %s %q to %s", binding, g.role.Kind, g.role.Name, to)
}

// visit calls see with every rule that caller has in namespace (and in the
// whole cluster), until it returns false. A binding to a role that does not
// exist is a problem, and the others still count.
func (p *Policy) visit(caller user.Info, namespace string, see func(grant, *rbacv1.PolicyRule) bool) (problems []error) {
	clusterBindings, err := p.source.ClusterRoleBindings.List(labels.Everything())
	if err != nil {
		problems = append(problems, err)
	}
	for _, binding := range clusterBindings {
		if s := subject(binding.Subjects, caller, ""); s != nil {
			rules, err := p.Rules("", binding.RoleRef)
			if err != nil {
				problems = append(problems, err)
			}
			if !visitRules(grant{binding: binding.Name, role: binding.RoleRef, subject: s}, rules, see) {
				return problems
			}
		}
	}
	if namespace == "" {
		return problems
	}
	bindings, err := p.source.RoleBindings.RoleBindings(namespace).List(labels.Everything())
	if err != nil {
		problems = append(problems, err)
	}
	for _, binding := range bindings {
		if s := subject(binding.Subjects, caller, namespace); s != nil {
			rules, err := p.Rules(namespace, binding.RoleRef)
			if err != nil {
				problems = append(problems, err)
			}
			if !visitRules(grant{binding.Namespace, binding.Name, binding.RoleRef, s}, rules, see) {
				return problems
			}
		}
	}
	return problems
}

func visitRules(g grant, rules []rbacv1.PolicyRule, see func(grant, *rbacv1.PolicyRule) bool) bool {
	for i := range rules {
		if !see(g, &rules[i]) {
			return false
		}
	}
	return true
}

// Rules returns what a role grants; namespace is the binding's.
func (p *Policy) Rules(namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, error) {
	switch ref.Kind {
	case "Role":
		role, err := p.source.Roles.Roles(namespace).Get(ref.Name)
		if err != nil {
			return nil, err
		}
		return role.Rules, nil
	case "ClusterRole":
		role, err := p.source.ClusterRoles.Get(ref.Name)
		if err != nil {
			return nil, err
		}
		return role.Rules, nil
	default:
		return nil, fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
	}
}

// UserRules returns everything that caller may do in namespace and in the
// whole cluster.
func (p *Policy) UserRules(caller user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	problems := p.visit(caller, namespace, func(_ grant, rule *rbacv1.PolicyRule) bool {
		rules = append(rules, *rule)
		return true
	})
	return rules, utilerrors.NewAggregate(problems)
}

// RulesFor implements authorizer.RuleResolver, for SelfSubjectRulesReview.
func (p *Policy) RulesFor(_ context.Context, caller user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	rules, err := p.UserRules(caller, namespace)
	var resources []authorizer.ResourceRuleInfo
	var urls []authorizer.NonResourceRuleInfo
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			urls = append(urls, &authorizer.DefaultNonResourceRuleInfo{Verbs: rule.Verbs, NonResourceURLs: rule.NonResourceURLs})
			continue
		}
		resources = append(resources, &authorizer.DefaultResourceRuleInfo{
			Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames})
	}
	return resources, urls, false, err
}
