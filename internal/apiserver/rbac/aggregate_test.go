package rbac

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// TestBootstrapRolesAreAggregatedFromTheStart saves every new installation the
// writes that would otherwise follow its first start.
func TestBootstrapRolesAreAggregatedFromTheStart(t *testing.T) {
	var roles []*rbacv1.ClusterRole
	for _, role := range ClusterRoles() {
		roles = append(roles, &role)
	}
	gathering := 0
	for _, role := range roles {
		if role.AggregationRule == nil {
			continue
		}
		gathering++
		if want := aggregated(role, roles); !equality.Semantic.DeepEqual(role.Rules, want) {
			t.Errorf("%s starts with\n%v\nand would be given\n%v", role.Name, role.Rules, want)
		}
	}
	if gathering != 3 {
		t.Errorf("%d roles aggregate, want admin, edit and view", gathering)
	}
}

func TestAggregationFollowsLabels(t *testing.T) {
	list := rule(read, "stable.example.com", "crontabs")
	part := partOf(clusterRole("crontabs", list), "view")
	view := gathers("view")
	if got := aggregated(&view, []*rbacv1.ClusterRole{&view, &part}); len(got) != 1 || !equality.Semantic.DeepEqual(got[0], list) {
		t.Errorf("got %v", got)
	}
	delete(part.Labels, aggregatePrefix+"view")
	if got := aggregated(&view, []*rbacv1.ClusterRole{&view, &part}); len(got) != 0 {
		t.Errorf("without its label %v is left", got)
	}
}
