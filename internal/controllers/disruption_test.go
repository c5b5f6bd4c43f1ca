package controllers_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// budgetOf is a budget called web for the Pods of web: "min=2" or "max=25%".
func budgetOf(amount string) *policyv1.PodDisruptionBudget {
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	bound, value, _ := strings.Cut(amount, "=")
	if bound == "min" {
		budget.Spec.MinAvailable = ptr.To(intstr.Parse(value))
	} else {
		budget.Spec.MaxUnavailable = ptr.To(intstr.Parse(value))
	}
	return budget
}

func makeBudget(t *testing.T, client kubernetes.Interface, amount string) {
	t.Helper()
	if _, err := client.PolicyV1().PodDisruptionBudgets("default").Create(t.Context(), budgetOf(amount), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// budgetIs waits until the budget says "allowed healthy/desired of expected
// reason".
func budgetIs(t *testing.T, client kubernetes.Interface, want string) *policyv1.PodDisruptionBudget {
	t.Helper()
	var budget *policyv1.PodDisruptionBudget
	eventually(t, func() (err error) {
		budget, err = client.PolicyV1().PodDisruptionBudgets("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s, reason := budget.Status, "none"
		if condition := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition); condition != nil {
			reason = condition.Reason
		}
		got := fmt.Sprintf("%d %d/%d of %d %s", s.DisruptionsAllowed, s.CurrentHealthy, s.DesiredHealthy, s.ExpectedPods, reason)
		if got != want {
			return fmt.Errorf("the budget is %q, want %q", got, want)
		}
		return nil
	})
	return budget
}

func hasEvent(t *testing.T, client kubernetes.Interface, kind, reason, message string) {
	t.Helper()
	eventually(t, func() error {
		events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",reason=" + reason})
		if err != nil {
			return err
		}
		var messages []string
		for _, event := range events.Items {
			if event.Message == message && event.Source.Component == "controllermanager" {
				return nil
			}
			messages = append(messages, event.Message)
		}
		return fmt.Errorf("events %s are %q, want %q", reason, messages, message)
	})
}

func evict(t *testing.T, client kubernetes.Interface, pod string) error {
	return client.CoreV1().Pods("default").EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod}})
}

// runningPod makes a Pod of web that no controller has, on a node, ready.
func runningPod(t *testing.T, client kubernetes.Interface, name string, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	pod := smallPod(name)
	pod.Labels, pod.Spec.NodeName = map[string]string{"app": "web"}, "boat"
	if change != nil {
		change(pod)
	}
	made, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status.Phase = corev1.PodRunning
	made.Status.Conditions = append(made.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	if made, err = client.CoreV1().Pods("default").UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestABudgetFollowsItsDeploymentAndItsSpec(t *testing.T) {
	d := startDeployments(t)
	makeBudget(t, d.client, "min=50%")
	budgetIs(t, d.client, "0 0/0 of 0 InsufficientPods")
	hasEvent(t, d.client, "PodDisruptionBudget", "NoPods", "No matching pods found")
	d.create(3)
	budgetIs(t, d.client, "1 3/2 of 3 SufficientPods")
	d.patch(`{"spec":{"replicas":5}}`)
	budgetIs(t, d.client, "2 5/3 of 5 SufficientPods")

	patch := []byte(`{"spec":{"minAvailable":null,"maxUnavailable":0}}`)
	changed, err := d.client.PolicyV1().PodDisruptionBudgets("default").Patch(t.Context(), "web", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if budget := budgetIs(t, d.client, "0 5/5 of 5 InsufficientPods"); budget.Status.ObservedGeneration != changed.Generation {
		t.Errorf("generation %d of %d is observed", budget.Status.ObservedGeneration, changed.Generation)
	}

	// A Deployment that wants more than it may have: no Pod tells of that.
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("5")}}}
	if _, err := d.client.CoreV1().ResourceQuotas("default").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the admission has to know of it
		_, err := d.client.CoreV1().Pods("default").Create(t.Context(), smallPod("sixth"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "used: pods=5") {
			return fmt.Errorf("a sixth Pod: %v", err)
		}
		return nil
	})
	d.patch(`{"spec":{"replicas":8}}`)
	budgetIs(t, d.client, "0 5/8 of 8 InsufficientPods")
}

// TestEvictionsAllAtOnceLeaveWhatHasToBe asks for every Pod at the same time,
// round after round, while others take their places.
func TestEvictionsAllAtOnceLeaveWhatHasToBe(t *testing.T) {
	const pods, least, rounds = 8, 5, 4
	client := withControllers(t, nil)
	makeBudget(t, client, fmt.Sprintf("min=%d", least))
	made := 0
	var names []string
	for round := range rounds {
		for len(names) < pods {
			made++
			names = append(names, fmt.Sprintf("web-%d", made))
			runningPod(t, client, names[len(names)-1], nil)
		}
		budgetIs(t, client, fmt.Sprintf("%d %d/%d of %d SufficientPods", pods-least, pods, least, pods+round*(pods-least)))
		var gone atomic.Int32
		var group sync.WaitGroup
		stay := make([]string, pods)
		for i, name := range names {
			group.Go(func() {
				switch err := evict(t, client, name); {
				case err == nil:
					gone.Add(1)
				case apierrors.IsTooManyRequests(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
					stay[i] = name
				default:
					t.Errorf("evicting %s: %v", name, err)
				}
			})
		}
		group.Wait()
		if gone.Load() != pods-least {
			t.Fatalf("round %d: %d Pods were evicted at once, %d may be", round, gone.Load(), pods-least)
		}
		names = names[:0]
		for _, name := range stay {
			if name != "" {
				names = append(names, name)
			}
		}
		// They are marked, and remembered no more. No kubelet ends them.
		budget := budgetIs(t, client, fmt.Sprintf("0 %d/%d of %d InsufficientPods", least, least, pods+round*(pods-least)))
		eventually(t, func() (err error) {
			if budget, err = client.PolicyV1().PodDisruptionBudgets("default").Get(t.Context(), "web", metav1.GetOptions{}); err == nil && len(budget.Status.DisruptedPods) > 0 {
				err = fmt.Errorf("still remembered: %v", budget.Status.DisruptedPods)
			}
			return err
		})
	}
}

func TestABudgetSaysWhatItCannotCount(t *testing.T) {
	client := withControllers(t, nil)
	runningPod(t, client, "alone", nil)
	makeBudget(t, client, "max=1")
	budgetIs(t, client, "0 1/0 of 0 InsufficientPods")
	hasEvent(t, client, "PodDisruptionBudget", "UnmanagedPods", `Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`)

	account, err := client.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	runningPod(t, client, "owned", func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ServiceAccount", Name: "default", UID: account.UID, Controller: ptr.To(true)}}
	})
	budget := budgetIs(t, client, "0 1/0 of 0 SyncFailed")
	const why = "serviceaccounts does not implement the scale subresource"
	if condition := meta.FindStatusCondition(budget.Status.Conditions, policyv1.DisruptionAllowedCondition); condition.Message != why {
		t.Errorf("the condition says %q", condition.Message)
	}
	hasEvent(t, client, "PodDisruptionBudget", "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: "+why)
	if err := client.CoreV1().Pods("default").Delete(t.Context(), "owned", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	budgetIs(t, client, "0 1/0 of 0 InsufficientPods")

	second := budgetOf("min=1")
	second.Name = "second"
	if _, err := client.PolicyV1().PodDisruptionBudgets("default").Create(t.Context(), second, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the informers are not told in any order
		runningPodIsTouched(t, client, "alone")
		events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=MultiplePodDisruptionBudgets"})
		if err == nil && len(events.Items) == 0 {
			err = fmt.Errorf("no event tells of two budgets")
		}
		return err
	})
	if err := evict(t, client, "alone"); err == nil || !strings.Contains(err.Error(), "more than one PodDisruptionBudget") {
		t.Errorf("the eviction of a Pod with two budgets: %v", err)
	}
}

func runningPodIsTouched(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, time.Now().UnixNano())
	if _, err := client.CoreV1().Pods("default").Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAPodThatWasToBeDisruptedAndWasNotIsReleased(t *testing.T) {
	client := withControllers(t, nil)
	pod := runningPod(t, client, "web-1", nil)
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
	})
	if _, err := client.CoreV1().Pods("default").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		found, err := client.CoreV1().Pods("default").Get(t.Context(), "web-1", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range found.Status.Conditions {
			if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionFalse && c.Reason == "" {
				return nil
			}
		}
		return fmt.Errorf("its conditions are %+v", found.Status.Conditions)
	})
}

func TestABudgetGoesWithItsOwnerAndIsCountedByAQuota(t *testing.T) {
	client := withQuota(t, map[corev1.ResourceName]string{"count/poddisruptionbudgets.policy": "1"})
	owner, err := client.CoreV1().ConfigMaps("q").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	budgets := client.PolicyV1().PodDisruptionBudgets("q")
	owned := budgetOf("max=1")
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.UID}}
	if _, err := budgets.Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "count/poddisruptionbudgets.policy", "1")
	second := budgetOf("max=1")
	second.Name = "second"
	_, err = budgets.Create(t.Context(), second, metav1.CreateOptions{})
	if want := `poddisruptionbudgets.policy "second" is forbidden: exceeded quota: q, requested: count/poddisruptionbudgets.policy=1, used: count/poddisruptionbudgets.policy=1, limited: count/poddisruptionbudgets.policy=1`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := client.CoreV1().ConfigMaps("q").Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "count/poddisruptionbudgets.policy", "0")
	eventually(t, func() error { // the admission's own cache may be behind
		_, err := budgets.Create(t.Context(), second, metav1.CreateOptions{})
		return err
	})
	if err := client.CoreV1().Namespaces().Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "q", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there (%v)", err)
	})
	if _, err := budgets.Get(t.Context(), "second", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("its budget: %v", err)
	}
}
