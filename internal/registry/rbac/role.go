package rbac

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/rbac"
	"coxswain.dev/cox/internal/registry"
)

// roleColumns show when a role was made: its age says little.
var roleColumns = []metav1.TableColumnDefinition{
	registry.NameColumn,
	{Name: "Created At", Type: "string", Format: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
}

func roleRow(obj metav1.Object) []any {
	return []any{obj.GetName(), obj.GetCreationTimestamp().UTC().Format(time.RFC3339)}
}

func role(guard Guard) registry.Kind[*rbacv1.Role] {
	return registry.Kind[*rbacv1.Role]{
		Version: rbacv1.SchemeGroupVersion, Resource: "roles", Singular: "role",
		New:      func() *rbacv1.Role { return &rbacv1.Role{} },
		NewList:  func() runtime.Object { return &rbacv1.RoleList{} },
		NameRule: api.ValidateName,
		Validate: func(_ context.Context, obj *rbacv1.Role) field.ErrorList { return api.ValidateRole(obj) },
		ValidateUpdate: func(_ context.Context, obj, _ *rbacv1.Role) field.ErrorList {
			return api.ValidateRole(obj)
		},
		Columns: roleColumns,
		Row:     func(obj *rbacv1.Role) []any { return roleRow(obj) },
		Wrap: func(store *genericregistry.Store) rest.Storage {
			return &guarded{store, func(ctx context.Context, obj, old runtime.Object) error {
				granted := obj.(*rbacv1.Role)
				if before, ok := old.(*rbacv1.Role); ok && equality.Semantic.DeepEqual(before.Rules, granted.Rules) {
					return nil
				}
				return guard.MayGrant(ctx, "roles", granted.Namespace, granted.Name, granted.Rules)
			}}
		},
	}
}

func clusterRole(guard Guard) registry.Kind[*rbacv1.ClusterRole] {
	return registry.Kind[*rbacv1.ClusterRole]{
		Version: rbacv1.SchemeGroupVersion, Resource: "clusterroles", Singular: "clusterrole", ClusterScoped: true,
		New:      func() *rbacv1.ClusterRole { return &rbacv1.ClusterRole{} },
		NewList:  func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		NameRule: api.ValidateName,
		Validate: func(_ context.Context, obj *rbacv1.ClusterRole) field.ErrorList { return api.ValidateClusterRole(obj) },
		ValidateUpdate: func(_ context.Context, obj, _ *rbacv1.ClusterRole) field.ErrorList {
			return api.ValidateClusterRole(obj)
		},
		Columns: roleColumns,
		Row:     func(obj *rbacv1.ClusterRole) []any { return roleRow(obj) },
		Wrap: func(store *genericregistry.Store) rest.Storage {
			return &guarded{store, func(ctx context.Context, obj, old runtime.Object) error {
				granted := obj.(*rbacv1.ClusterRole)
				if before, ok := old.(*rbacv1.ClusterRole); ok && equality.Semantic.DeepEqual(before.Rules, granted.Rules) && equality.Semantic.DeepEqual(before.AggregationRule, granted.AggregationRule) {
					return nil
				}
				rules := granted.Rules
				if granted.AggregationRule != nil {
					// It may come to hold any role's rules.
					rules = append(rules[:len(rules):len(rules)], everything...)
				}
				return guard.MayGrant(ctx, "clusterroles", "", granted.Name, rules)
			}}
		},
	}
}

// everything is what an aggregating role may come to grant.
var everything = []rbacv1.PolicyRule{
	{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}},
}
