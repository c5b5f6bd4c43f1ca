package rbac

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"

	"coxswain.dev/cox/internal/registry"
)

// Guard says whether the caller in ctx may give permissions away. Both methods
// return nil for yes, and an error that says which permissions are missing.
type Guard interface {
	// MayGrant checks a role, named by resource ("roles", "clusterroles")
	// and name, that gives rules within namespace.
	MayGrant(ctx context.Context, resource, namespace, name string, rules []rbacv1.PolicyRule) error
	// MayBind checks a binding to ref within namespace.
	MayBind(ctx context.Context, namespace string, ref rbacv1.RoleRef) error
}

// Kinds returns every resource of the group.
func Kinds(guard Guard) []registry.Builder {
	return []registry.Builder{role(guard), clusterRole(guard), roleBinding(guard), clusterRoleBinding(guard)}
}
