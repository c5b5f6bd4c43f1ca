package sim

import (
	"flag"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var stories = flag.Uint64("stories", 300, "how many seeds TestDrawnFaults plays")

// shop is a Deployment as the API would store it.
func shop(replicas int32, image string, strategy appsv1.DeploymentStrategy) *appsv1.Deployment {
	labels := map[string]string{"app": "shop"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "live"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Strategy: strategy,
			ProgressDeadlineSeconds: new(int32(600)), RevisionHistoryLimit: new(int32(10)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop", Image: image}}},
			},
		},
	}
}

func rolling(surge, unavailable int32) appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxSurge: new(intstr.FromInt32(surge)), MaxUnavailable: new(intstr.FromInt32(unavailable)),
	}}
}

var recreate = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}

func scenario(from, to *appsv1.Deployment, seed uint64) Scenario {
	return Scenario{Deployment: from, Updates: []Update{{Title: "v2", Deployment: to}}, Seed: seed, ReadyAfter: 5 * time.Second, StopAfter: time.Second}
}

// TestDrawnFaults: whatever goes wrong in whatever rollout, the controllers
// break no rule, and all comes to its end, since every fault does.
func TestDrawnFaults(t *testing.T) {
	strategies := []appsv1.DeploymentStrategy{rolling(1, 0), rolling(0, 1), rolling(2, 1), recreate}
	for seed := range *stories {
		strategy, replicas := strategies[seed%4], int32(seed%7)
		from, to := shop(replicas, "v1", strategy), shop(replicas+int32(seed/4%3), "v2", strategy)
		to.Spec.MinReadySeconds = int32(seed % 2 * 3)
		s := scenario(from, to, seed)
		s.Random = 10
		if seed%5 == 0 {
			s.Updates = append(s.Updates, Update{Title: "v3", Deployment: shop(replicas, "v3", strategy), At: new(4 * time.Second)})
			s.Updates[0].At = new(time.Duration(0))
		}
		story, err := Play(s)
		if err != nil {
			t.Fatal(err)
		}
		if story.Verdict.Violation != "" || !story.Verdict.Converged {
			t.Fatalf("seed %d:\n%s", seed, story)
		}
	}
}

// TestWithoutFaults: without faults and without a change of size nothing comes
// under its bound, and only the one delay there is leads above.
func TestWithoutFaults(t *testing.T) {
	for seed := range uint64(200) {
		story, err := Play(scenario(shop(5, "v1", rolling(1, 1)), shop(5, "v2", rolling(1, 1)), seed))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range story.Verdict.Breaches {
			if b.By != bySlowness || b.Bound != "total" || b.UntilSeconds == nil || *b.UntilSeconds-b.FromSeconds > 0.1 {
				t.Fatalf("seed %d: %+v\n%s", seed, b, story)
			}
		}
		if !story.Verdict.Converged || story.Verdict.LeastAvailable.Seen != 4 {
			t.Fatalf("seed %d:\n%s", seed, story)
		}
	}
}

// TestEveryFaultStrikes: each kind leaves its line, and the same seed the same
// story.
func TestEveryFaultStrikes(t *testing.T) {
	for _, k := range FaultKinds {
		if k.Name == neverReady {
			continue
		}
		s := scenario(shop(4, "v1", rolling(1, 1)), shop(4, "v2", rolling(1, 1)), 3)
		s.Faults = []ScenarioFault{{Name: k.Name, At: new(time.Duration(0))}}
		first, err := Play(s)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Play(s)
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%s: two stories\n%s\n%s", k.Name, first, again)
		}
		struck := 0
		for _, e := range first.Events {
			if e.Who == "fault" && e.What == k.Name {
				struck++
			}
		}
		if struck != 1 || !first.Verdict.Converged {
			t.Errorf("%s strikes %d times:\n%s", k.Name, struck, first)
		}
	}
}

// BenchmarkPlay is one rollout of 100 Pods.
func BenchmarkPlay(b *testing.B) {
	for b.Loop() {
		if _, err := Play(scenario(shop(100, "v1", rolling(25, 25)), shop(100, "v2", rolling(25, 25)), 1)); err != nil {
			b.Fatal(err)
		}
	}
}
