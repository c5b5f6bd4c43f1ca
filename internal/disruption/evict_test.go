package disruption_test

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/disruption"
)

// letGo is so many Pods that a budget remembers.
func letGo(pods int) map[string]metav1.Time {
	all := map[string]metav1.Time{}
	for i := range pods {
		all[fmt.Sprintf("gone-%d", i)] = metav1.NewTime(start)
	}
	return all
}

func TestWhatABudgetRefusesLeavesItAsItIs(t *testing.T) {
	for message, c := range map[string]struct {
		kind   disruption.RefusalKind
		status policyv1.PodDisruptionBudgetStatus
	}{
		"The disruption budget web is still being processed by the server.":              {disruption.Unobserved, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1}},
		"The disruption budget web needs 3 healthy pods and has 2 currently":             {disruption.Exhausted, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, DesiredHealthy: 3, CurrentHealthy: 2}},
		"pdb disruptions allowed is negative":                                            {disruption.Broken, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, DisruptionsAllowed: -1}},
		"DisruptedPods map too big - too many evictions not confirmed by PDB controller": {disruption.Broken, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, DisruptionsAllowed: 1, DisruptedPods: letGo(2001)}},
	} {
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 2}, Status: c.status}
		before := budget.DeepCopy()
		err := disruption.Spend(budget, "pod", start)
		var refused *disruption.Refusal
		if !errors.As(err, &refused) || refused.Kind != c.kind || refused.Message != message {
			t.Errorf("got %v, want %q", err, message)
		}
		if !equality.Semantic.DeepEqual(before, budget) {
			t.Errorf("%s: the budget is changed to %+v", message, budget.Status)
		}
	}
}

func TestTheLastDisruptionTurnsTheCondition(t *testing.T) {
	budget := &policyv1.PodDisruptionBudget{Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 2, DisruptedPods: letGo(1998)}}
	for left, want := range []int{0, 1} { // conditions
		if err := disruption.Spend(budget, fmt.Sprintf("pod-%d", left), start); err != nil {
			t.Fatal(err)
		}
		if got := len(budget.Status.Conditions); got != want {
			t.Errorf("after eviction %d there are %d conditions: %+v", left+1, got, budget.Status.Conditions)
		}
	}
	want := metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason, LastTransitionTime: metav1.NewTime(start)}
	if budget.Status.DisruptionsAllowed != 0 || len(budget.Status.DisruptedPods) != 2000 || budget.Status.Conditions[0] != want {
		t.Errorf("at the end: %d allowed, %d let go, %+v", budget.Status.DisruptionsAllowed, len(budget.Status.DisruptedPods), budget.Status.Conditions)
	}
	budget.Status.DisruptionsAllowed = 1
	if err := disruption.Spend(budget, "one more", start); err != nil {
		t.Errorf("2,000 that were let go are not too many: %v", err)
	}
}

func TestABudgetCoversPodsOfItsNamespace(t *testing.T) {
	for _, c := range []struct {
		selector, namespace, app string
		want                     bool
	}{
		{"app=web", "default", "web", true},
		{"app=web", "default", "db", false},
		{"app=web", "other", "web", false},
		{"app=web", "other", "db", false},
		{"all", "default", "db", true},
		{"none", "default", "web", false},
		{"bad", "default", "web", false},
	} {
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: selectorOf(c.selector)}}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Labels: map[string]string{"app": c.app}}}
		if got := disruption.Covers(budget, pod); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
