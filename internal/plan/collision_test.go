package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/rollout"
)

// TestANameThatIsTakenIsPassedOver: another template's ReplicaSet has the name
// that the new one's hash gives.
func TestANameThatIsTakenIsPassedOver(t *testing.T) {
	c := newCluster()
	for _, line := range []string{"deployment replicas=2", "runs", "deployment image=v2"} {
		if err := c.do(line); err != nil {
			t.Fatal(err)
		}
	}
	none := int32(0)
	taken := "web-" + rollout.Hash(&c.in.After.Spec.Template, nil)
	other := c.in.ReplicaSets[0].DeepCopy()
	other.Name, other.UID, other.Spec.Replicas = taken, "uid-of-other", &none
	other.Spec.Template.Spec.Containers[0].Image = "v0"
	c.in.ReplicaSets = append(c.in.ReplicaSets, other)
	p := Make(c.in)
	if p.Outcome.State != Complete || p.Waves[0].Steps[0].Verb != "create" || p.Waves[0].Steps[0].ReplicaSet == taken {
		t.Errorf("the name %s is taken, and:\n%s", taken, p)
	}
}

// TestAQuotaOfAScopeCountsOnlyThat: Pods without requests are in the scope
// BestEffort, others are not.
func TestAQuotaOfAScopeCountsOnlyThat(t *testing.T) {
	for request, want := range map[string]State{"": Stuck, " cpu=100m": Complete} {
		c := newCluster()
		for _, line := range []string{"deployment replicas=2" + request, "runs", "quota effort pods=2", "deployment image=v2"} {
			if err := c.do(line); err != nil {
				t.Fatal(err)
			}
		}
		c.in.Quotas[0].Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
		if p := Make(c.in); p.Outcome.State != want {
			t.Errorf("with requests %q it is %s, not %s:\n%s", request, p.Outcome.State, want, p)
		}
	}
}
