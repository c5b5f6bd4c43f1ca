package rbac

import (
	"context"
	"strings"

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

func roleBinding(guard Guard) registry.Kind[*rbacv1.RoleBinding] {
	return registry.Kind[*rbacv1.RoleBinding]{
		Version: rbacv1.SchemeGroupVersion, Resource: "rolebindings", Singular: "rolebinding",
		New:      func() *rbacv1.RoleBinding { return &rbacv1.RoleBinding{} },
		NewList:  func() runtime.Object { return &rbacv1.RoleBindingList{} },
		NameRule: api.ValidateName,
		Validate: func(_ context.Context, obj *rbacv1.RoleBinding) field.ErrorList { return api.ValidateRoleBinding(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *rbacv1.RoleBinding) field.ErrorList {
			return api.ValidateRoleBindingUpdate(obj, old)
		},
		Columns: bindingColumns("roleBinding", rbacv1.RoleBinding{}.SwaggerDoc()["roleRef"]),
		Row: func(obj *rbacv1.RoleBinding) []any {
			return bindingRow(obj, obj.RoleRef, obj.Subjects)
		},
		Wrap: func(store *genericregistry.Store) rest.Storage {
			return &guarded{store, func(ctx context.Context, obj, old runtime.Object) error {
				binding := obj.(*rbacv1.RoleBinding)
				if before, ok := old.(*rbacv1.RoleBinding); ok && before.RoleRef == binding.RoleRef && equality.Semantic.DeepEqual(before.Subjects, binding.Subjects) {
					return nil
				}
				return guard.MayBind(ctx, binding.Namespace, binding.RoleRef)
			}}
		},
	}
}

func clusterRoleBinding(guard Guard) registry.Kind[*rbacv1.ClusterRoleBinding] {
	return registry.Kind[*rbacv1.ClusterRoleBinding]{
		Version: rbacv1.SchemeGroupVersion, Resource: "clusterrolebindings", Singular: "clusterrolebinding", ClusterScoped: true,
		New:      func() *rbacv1.ClusterRoleBinding { return &rbacv1.ClusterRoleBinding{} },
		NewList:  func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		NameRule: api.ValidateName,
		Validate: func(_ context.Context, obj *rbacv1.ClusterRoleBinding) field.ErrorList {
			return api.ValidateClusterRoleBinding(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, old *rbacv1.ClusterRoleBinding) field.ErrorList {
			return api.ValidateClusterRoleBindingUpdate(obj, old)
		},
		Columns: bindingColumns("clusterRoleBinding", rbacv1.ClusterRoleBinding{}.SwaggerDoc()["roleRef"]),
		Row: func(obj *rbacv1.ClusterRoleBinding) []any {
			return bindingRow(obj, obj.RoleRef, obj.Subjects)
		},
		Wrap: func(store *genericregistry.Store) rest.Storage {
			return &guarded{store, func(ctx context.Context, obj, old runtime.Object) error {
				binding := obj.(*rbacv1.ClusterRoleBinding)
				if before, ok := old.(*rbacv1.ClusterRoleBinding); ok && before.RoleRef == binding.RoleRef && equality.Semantic.DeepEqual(before.Subjects, binding.Subjects) {
					return nil
				}
				return guard.MayBind(ctx, "", binding.RoleRef)
			}}
		},
	}
}

func bindingColumns(kind, roleDescription string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		registry.NameColumn,
		registry.Column("Role", "string", roleDescription),
		registry.AgeColumn,
		registry.WideColumn("Users", "string", "Users in the "+kind),
		registry.WideColumn("Groups", "string", "Groups in the "+kind),
		registry.WideColumn("ServiceAccounts", "string", "ServiceAccounts in the "+kind),
	}
}

func bindingRow(obj metav1.Object, ref rbacv1.RoleRef, subjects []rbacv1.Subject) []any {
	var users, groups, accounts []string
	for _, subject := range subjects {
		switch subject.Kind {
		case rbacv1.UserKind:
			users = append(users, subject.Name)
		case rbacv1.GroupKind:
			groups = append(groups, subject.Name)
		case rbacv1.ServiceAccountKind:
			accounts = append(accounts, subject.Namespace+"/"+subject.Name)
		}
	}
	return []any{obj.GetName(), ref.Kind + "/" + ref.Name, registry.Age(obj.GetCreationTimestamp()),
		strings.Join(users, ", "), strings.Join(groups, ", "), strings.Join(accounts, ", ")}
}
