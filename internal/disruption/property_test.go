package disruption_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/disruption"
)

// amounts are what budgets are drawn from, some of them such as no API stores.
var amounts = []string{"0", "1", "2", "3", "5", "100", "-1", "2147483647", "0%", "1%", "33%", "50%", "99%", "100%", "1000%", "many", ""}

func drawWorld(t *rapid.T) *world {
	w := newWorld()
	budget := []string{rapid.SampledFrom([]string{"min=", "max="}).Draw(t, "bound") + rapid.SampledFrom(amounts).Draw(t, "amount")}
	if policy := rapid.SampledFrom([]string{"", "IfHealthyBudget", "AlwaysAllow", "Sometimes"}).Draw(t, "policy"); policy != "" {
		budget = append(budget, "policy="+policy)
	}
	if err := w.changeBudget(budget); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web", "other"} {
		w.workloads[uidOf(name)] = disruption.Workload{Replicas: rapid.SampledFrom([]int32{0, 1, 3, 8, -1, 2147483647}).Draw(t, name)}
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "pods") {
		drawPod(t, w, fmt.Sprintf("pod-%d", i))
	}
	return w
}

func drawPod(t *rapid.T, w *world, name string) {
	var settings []string
	for _, choices := range [][]string{
		{"of=web", "of=web", "of=other", "of=none", "of=gone"},
		{"phase=Running", "phase=Running", "phase=Running", "phase=Pending", "phase=Succeeded", "phase=Failed", "phase=Nonsense"},
		{"labels=app=web", "labels=app=web", "labels=app=web", "labels=app=db"},
	} {
		settings = append(settings, rapid.SampledFrom(choices).Draw(t, name))
	}
	for _, flag := range []string{"unready", "deleting"} {
		if rapid.IntRange(0, 4).Draw(t, name+" "+flag) == 0 {
			settings = append(settings, flag)
		}
	}
	if err := w.makePod(name, settings); err != nil {
		t.Fatal(err)
	}
}

func TestAllowedIsNeverMoreThanIsHealthyBeyondTheBudgetNorBelowZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for name := range w.pods {
			if rapid.Bool().Draw(t, "let go "+name) {
				_ = disruption.Spend(w.budget, name, w.now) // what a budget refuses is refused
			}
		}
		status := w.decide().Status
		if status.DisruptionsAllowed < 0 || status.DisruptionsAllowed > max(0, status.CurrentHealthy-status.DesiredHealthy) {
			t.Fatalf("wrong count: %s", w.last)
		}
		if status.CurrentHealthy < 0 || int(status.CurrentHealthy) > len(w.pods) || status.ExpectedPods < 0 {
			t.Fatalf("absurd count: %s", w.last)
		}
	})
}

func TestOneDecisionIsEnoughWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		first := w.decide().String()
		if again := w.decide().String(); again != first { // maps give another order
			t.Fatalf("first\n%sthen\n%s", first, again)
		}
		w.budget.Status = w.last.Status
		w.now = w.now.Add(time.Hour)
		if again := w.decide(); again.Changed || len(again.Events) > 0 {
			t.Fatalf("the second decision wants more:\n%s", again)
		}
	})
}

// late is an API with evictions at any moment, and a controller that sees the
// Pods and the budget late, each on its own, but never goes back.
type late struct {
	*world
	// versions are all that have been stored; what the controller sees is one
	// of them.
	budgets              []*policyv1.PodDisruptionBudget
	views                []map[string]*corev1.Pod
	seenBudget, seenPods int
	// goes are Pods that were let go, and are not marked for deletion yet.
	goes []string
}

func (l *late) stored() *policyv1.PodDisruptionBudget { return l.budgets[len(l.budgets)-1] }

// change stores another version of a Pod.
func (l *late) change(name string, f func(*corev1.Pod)) {
	now := maps.Clone(l.views[len(l.views)-1])
	now[name] = now[name].DeepCopy()
	f(now[name])
	l.views = append(l.views, now)
}

func (l *late) reconcile() {
	seen := l.budgets[l.seenBudget]
	decided := disruption.Decide(disruption.Snapshot{Now: l.now, Budget: seen, Pods: slices.Collect(maps.Values(l.views[l.seenPods])), Workloads: l.workloads})
	if decided.Changed && l.seenBudget == len(l.budgets)-1 { // else it is a conflict
		written := seen.DeepCopy()
		written.Status = decided.Status
		l.budgets = append(l.budgets, written)
	}
}

// healthy counts the Pods that are ready and that nobody has let go.
func (l *late) healthy() (count int32) {
	for name, pod := range l.views[len(l.views)-1] {
		if pod.DeletionTimestamp == nil && pod.Status.Conditions[0].Status == corev1.ConditionTrue && !slices.Contains(l.goes, name) {
			count++
		}
	}
	return count
}

// evict returns false if the Pod stays.
func (l *late) evict(name string) bool {
	pod, budget := l.views[len(l.views)-1][name], l.stored().DeepCopy()
	if !disruption.Disrupts(pod) || slices.Contains(l.goes, name) {
		return false
	}
	if !disruption.Guards(budget, pod) {
		l.mark(name) // at once: only the Pod that was looked at is deleted
		return true
	}
	if disruption.Spend(budget, name, l.now) != nil {
		return false
	}
	l.budgets, l.goes = append(l.budgets, budget), append(l.goes, name)
	return true
}

func (l *late) mark(name string) {
	l.change(name, func(pod *corev1.Pod) { pod.DeletionTimestamp = ptrTo(l.now) })
}

func drawLate(t *rapid.T) *late {
	w := newWorld()
	bound := rapid.SampledFrom([]string{"min=1", "min=2", "min=3", "min=50%", "max=1", "max=2", "max=25%"}).Draw(t, "bound")
	if err := w.changeBudget([]string{bound}); err != nil {
		t.Fatal(err)
	}
	number := rapid.IntRange(1, 6).Draw(t, "pods")
	w.workloads = map[types.UID]disruption.Workload{uidOf("web"): {Replicas: int32(number)}}
	if err := w.Do(fmt.Sprintf("pods web %d", number)); err != nil {
		t.Fatal(err)
	}
	for _, pod := range w.pods {
		if rapid.IntRange(0, 3).Draw(t, "unready") == 0 {
			pod.Status.Conditions[0].Status = corev1.ConditionFalse
		}
	}
	return &late{world: w, budgets: []*policyv1.PodDisruptionBudget{w.budget}, views: []map[string]*corev1.Pod{w.pods}}
}

// TestEvictionsNeverTakeMoreThanTheBudget: however late the controller sees
// what, the evictions leave as many healthy Pods as have to be.
func TestEvictionsNeverTakeMoreThanTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLate(t)
		names := slices.Sorted(maps.Keys(l.pods))
		name := rapid.SampledFrom(names)
		t.Repeat(map[string]func(*rapid.T){
			"evict": func(t *rapid.T) {
				before := l.healthy()
				if l.evict(name.Draw(t, "name")) && l.healthy() < before && l.healthy() < l.stored().Status.DesiredHealthy {
					t.Fatalf("%d healthy Pods are left, %d have to be", l.healthy(), l.stored().Status.DesiredHealthy)
				}
			},
			"mark": func(t *rapid.T) {
				if len(l.goes) == 0 {
					t.Skip("no Pod goes")
				}
				l.mark(l.goes[0])
				l.goes = l.goes[1:]
			},
			"ready": func(t *rapid.T) {
				l.change(name.Draw(t, "name"), func(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionTrue })
			},
			"see Pods":   func(t *rapid.T) { l.seenPods = rapid.IntRange(l.seenPods, len(l.views)-1).Draw(t, "version") },
			"see budget": func(t *rapid.T) { l.seenBudget = rapid.IntRange(l.seenBudget, len(l.budgets)-1).Draw(t, "version") },
			"reconcile":  func(*rapid.T) { l.reconcile() },
			"": func(t *rapid.T) {
				if allowed := l.stored().Status.DisruptionsAllowed; allowed < 0 {
					t.Fatalf("%d disruptions are allowed", allowed)
				}
			},
		})
	})
}
