package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddDefaults registers the defaults of the group.
func AddDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&rbacv1.RoleBinding{}, func(obj any) { defaultRoleBinding(obj.(*rbacv1.RoleBinding)) })
	scheme.AddTypeDefaultingFunc(&rbacv1.RoleBindingList{}, func(obj any) {
		for i := range obj.(*rbacv1.RoleBindingList).Items {
			defaultRoleBinding(&obj.(*rbacv1.RoleBindingList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&rbacv1.ClusterRoleBinding{}, func(obj any) { defaultClusterRoleBinding(obj.(*rbacv1.ClusterRoleBinding)) })
	scheme.AddTypeDefaultingFunc(&rbacv1.ClusterRoleBindingList{}, func(obj any) {
		for i := range obj.(*rbacv1.ClusterRoleBindingList).Items {
			defaultClusterRoleBinding(&obj.(*rbacv1.ClusterRoleBindingList).Items[i])
		}
	})
}

func defaultRoleBinding(binding *rbacv1.RoleBinding) {
	defaultRoleRef(&binding.RoleRef)
	defaultSubjects(binding.Subjects)
}

func defaultClusterRoleBinding(binding *rbacv1.ClusterRoleBinding) {
	defaultRoleRef(&binding.RoleRef)
	defaultSubjects(binding.Subjects)
}

func defaultRoleRef(ref *rbacv1.RoleRef) {
	if ref.APIGroup == "" {
		ref.APIGroup = rbacv1.GroupName
	}
}

func defaultSubjects(subjects []rbacv1.Subject) {
	for i := range subjects {
		if subjects[i].APIGroup != "" {
			continue
		}
		switch subjects[i].Kind {
		case rbacv1.UserKind, rbacv1.GroupKind:
			subjects[i].APIGroup = rbacv1.GroupName
		}
	}
}
