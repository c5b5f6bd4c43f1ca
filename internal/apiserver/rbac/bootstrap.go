package rbac

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// parallelWrites lets the store sync several writes to disk at once.
const parallelWrites = 16

// Bootstrap creates the roles and bindings that are missing, and gives back to
// existing ones what they lack, unless their annotation
// rbac.authorization.kubernetes.io/autoupdate is "false". It removes nothing.
func Bootstrap(ctx context.Context, rbac client.RbacV1Interface) error {
	roles, err := rbac.ClusterRoles().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("reading the roles: %w", err)
	}
	bindings, err := rbac.ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("reading the role bindings: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for _, wanted := range ClusterRoles() {
		group.Go(func() error { return ensureRole(ctx, rbac.ClusterRoles(), wanted, roles.Items) })
	}
	for _, wanted := range ClusterRoleBindings() {
		group.Go(func() error { return ensureBinding(ctx, rbac.ClusterRoleBindings(), wanted, bindings.Items) })
	}
	return group.Wait()
}

func ensureRole(ctx context.Context, roles client.ClusterRoleInterface, wanted rbacv1.ClusterRole, all []rbacv1.ClusterRole) error {
	for i := range all {
		if all[i].Name != wanted.Name {
			continue
		}
		role := all[i].DeepCopy()
		covered, missing := validation.Covers(role.Rules, wanted.Rules)
		if covered || !updated(role.Annotations) {
			return nil
		}
		role.Rules = append(role.Rules, missing...)
		if _, err := roles.Update(ctx, role, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("completing the role %q: %w", wanted.Name, err)
		}
		return nil
	}
	if _, err := roles.Create(ctx, &wanted, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the role %q: %w", wanted.Name, err)
	}
	return nil
}

func ensureBinding(ctx context.Context, bindings client.ClusterRoleBindingInterface, wanted rbacv1.ClusterRoleBinding, all []rbacv1.ClusterRoleBinding) error {
	for i := range all {
		if all[i].Name != wanted.Name {
			continue
		}
		missing := missingSubjects(all[i].Subjects, wanted.Subjects)
		if len(missing) == 0 || !updated(all[i].Annotations) {
			return nil
		}
		binding := all[i].DeepCopy()
		binding.Subjects = append(binding.Subjects, missing...)
		if _, err := bindings.Update(ctx, binding, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("completing the role binding %q: %w", wanted.Name, err)
		}
		return nil
	}
	if _, err := bindings.Create(ctx, &wanted, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the role binding %q: %w", wanted.Name, err)
	}
	return nil
}

func updated(annotations map[string]string) bool {
	return annotations[rbacv1.AutoUpdateAnnotationKey] != "false"
}

func missingSubjects(have, wanted []rbacv1.Subject) []rbacv1.Subject {
	var missing []rbacv1.Subject
	for _, subject := range wanted {
		found := false
		for _, other := range have {
			found = found || subject == other
		}
		if !found {
			missing = append(missing, subject)
		}
	}
	return missing
}
