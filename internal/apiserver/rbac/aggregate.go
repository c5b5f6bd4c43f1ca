package rbac

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	informers "k8s.io/client-go/informers/rbac/v1"
	client "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/tools/cache"
)

// Aggregator keeps the rules of aggregating roles (admin, edit, view and the
// users' own) equal to those of the roles that their selectors match.
type Aggregator struct {
	Roles    client.ClusterRoleInterface
	Informer informers.ClusterRoleInformer
	Logger   *slog.Logger
}

// Run works until ctx ends: at every change of any role, and not between.
func (a *Aggregator) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1) // many changes are one reason to look
	look := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	registration, err := a.Informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { look() }, UpdateFunc: func(any, any) { look() }, DeleteFunc: func(any) { look() },
	})
	if err != nil {
		return err
	}
	defer a.Informer.Informer().RemoveEventHandler(registration)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			a.aggregate(ctx)
		}
	}
}

func (a *Aggregator) aggregate(ctx context.Context) {
	roles, err := a.Informer.Lister().List(labels.Everything())
	if err != nil {
		a.Logger.Error("reading the roles", "error", err)
		return
	}
	for _, role := range roles {
		if role.AggregationRule == nil {
			continue
		}
		rules := aggregated(role, roles)
		if equality.Semantic.DeepEqual(role.Rules, rules) {
			continue
		}
		updated := role.DeepCopy()
		updated.Rules = rules
		// After a conflict the informer tells of the newer version.
		if _, err := a.Roles.Update(ctx, updated, metav1.UpdateOptions{}); err != nil && ctx.Err() == nil && !errors.IsConflict(err) && !errors.IsNotFound(err) {
			a.Logger.Error("updating an aggregating role", "role", role.Name, "error", err)
		}
	}
}

// aggregated gathers the rules of the roles that role selects, by the order of
// their selectors and names, each rule once.
func aggregated(role *rbacv1.ClusterRole, roles []*rbacv1.ClusterRole) []rbacv1.PolicyRule {
	sorted := slices.SortedFunc(slices.Values(roles), func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	rules := []rbacv1.PolicyRule{}
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			continue // validation lets none through
		}
		for _, part := range sorted {
			if part.Name == role.Name || !selector.Matches(labels.Set(part.Labels)) {
				continue
			}
			for _, rule := range part.Rules {
				known := slices.ContainsFunc(rules, func(other rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(rule, other) })
				if !known {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules
}
