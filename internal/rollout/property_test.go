package rollout_test

import (
	"fmt"
	"math/rand"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/rollout"
)

var (
	images = []string{"v1", "v2", "v3", "v4"}
	bounds = []string{"0", "1", "2", "25%", "100%", "-1", "-20%", "many", "3000000000%"}
	counts = []string{"0", "3", "4", "-1", "many", "99999999999", ""}
)

// policies are those there are, none, and nonsense.
var policies = []string{"", rollout.TerminationStarted, rollout.TerminationComplete, "0"}

// drawWorld draws everything that Decide looks at, and some of what no API
// server would store.
func drawWorld(t *rapid.T) *world {
	w := newWorld()
	pick := func(label string, of []string) string { return rapid.SampledFrom(of).Draw(t, label) }
	settings := []string{
		fmt.Sprintf("replicas=%d", rapid.Int32Range(-1, 8).Draw(t, "replicas")),
		"image=" + pick("image", images), "surge=" + pick("surge", bounds), "unavailable=" + pick("unavailable", bounds),
		"limit=" + pick("limit", []string{"0", "1", "2147483647", "-1"}),
		"deadline=" + pick("deadline", []string{"0", "60", "2147483647"}),
		"annotate=" + rollout.PodReplacementPolicyAnnotation + ":" + pick("replacement", policies),
	}
	if rapid.IntRange(1, 6).Draw(t, "rollback") == 1 {
		settings = append(settings, "annotate="+appsv1.DeprecatedRollbackTo+":"+pick("rollback to", counts))
	}
	for _, setting := range []string{"paused", "deleting", "strategy=Recreate"} {
		if rapid.IntRange(1, 6).Draw(t, setting) == 1 {
			settings = append(settings, setting)
		}
	}
	must(t, w.changeDeployment(settings))
	for i, image := range images[:rapid.IntRange(0, len(images)).Draw(t, "sets")] {
		must(t, w.changeSet(fmt.Sprintf("web-%d", i), append(drawSet(t, i), "image="+image)))
	}
	return w
}

func drawSet(t *rapid.T, i int) []string {
	number := func(name string, most int) string {
		return fmt.Sprintf("%s=%d", name, rapid.IntRange(0, most).Draw(t, fmt.Sprintf("%s of %d", name, i)))
	}
	text := func(name string, of []string) string {
		return name + "=" + rapid.SampledFrom(of).Draw(t, fmt.Sprintf("%s of %d", name, i))
	}
	settings := []string{number("replicas", 6), number("pods", 6), number("available", 6), number("terminating", 3), text("revision", counts), text("desired", counts), text("max", counts)}
	if rapid.IntRange(0, 9).Draw(t, fmt.Sprintf("owner of %d", i)) == 0 {
		settings = append(settings, text("owner", []string{"none", "other"}))
	}
	if rapid.IntRange(0, 9).Draw(t, fmt.Sprintf("labels of %d", i)) == 0 {
		settings = append(settings, "labels=other")
	}
	return settings
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneDecisionIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		// Adoption, a rescale and a wave may follow one another, without a
		// Pod having moved; then there is nothing left to do.
		const most = 20
		for range most {
			if len(w.decide().Actions) == 0 {
				return
			}
			if err := w.apply(); err != nil {
				return // a name in the way is the driver's to settle
			}
		}
		t.Fatalf("still not content after %d decisions:\n%s", most, w.decide())
	})
}

func TestARolloutEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.deployment.DeletionTimestamp, w.deployment.Spec.Paused = nil, false
		w.follow()
		for range 100 {
			acted := len(w.decide().Actions) > 0
			if err := w.apply(); err != nil {
				return
			}
			w.follow()
			if !acted {
				break
			}
		}
		wanted := max(0, *w.deployment.Spec.Replicas)
		status := w.decide().Status
		if len(w.last.Actions) > 0 || status.UpdatedReplicas != wanted || status.Replicas != wanted || status.AvailableReplicas != wanted {
			t.Fatalf("want %d replicas of the template, and no more:\n%s\n%s", wanted, w.line(), w.last)
		}
	})
}

func TestTheOrderOfWhatIsSeenDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		want := w.decide().String()
		shuffled := w.sorted()
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "order"))).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		got := rollout.Decide(rollout.Snapshot{Now: w.now, Deployment: w.deployment, ReplicaSets: shuffled, Pods: w.pods}).String()
		if got != want {
			t.Fatalf("in another order:\n%s\nnot\n%s", got, want)
		}
	})
}

func TestTheSnapshotIsLeftAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		deployment, sets := w.deployment.DeepCopy(), w.sorted()
		for i := range sets {
			sets[i] = sets[i].DeepCopy()
		}
		w.decide()
		if !equality.Semantic.DeepEqual(deployment, w.deployment) || !equality.Semantic.DeepEqual(sets, w.sorted()) {
			t.Fatal("Decide has changed what it was given")
		}
	})
}

// The controller never causes more than replicas + maxSurge Pods, nor fewer
// than replicas - maxUnavailable available ones.
func TestAWaveKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for _, rs := range w.sets {
			rs.Annotations[rollout.DesiredReplicasAnnotation] = strconv.Itoa(int(max(0, *w.deployment.Spec.Replicas)))
		}
		if w.deployment.Spec.Strategy.RollingUpdate == nil || w.deployment.Spec.Paused || w.deployment.DeletionTimestamp != nil {
			return
		}
		surge := rapid.Int32Range(0, 3).Draw(t, "surge bound")
		unavailable := rapid.Int32Range(0, 3).Draw(t, "unavailable bound")
		must(t, w.changeDeployment([]string{fmt.Sprintf("surge=%d", surge), fmt.Sprintf("unavailable=%d", unavailable)}))
		if surge == 0 && unavailable == 0 {
			unavailable = 1
		}
		wanted := max(0, *w.deployment.Spec.Replicas)
		for _, rs := range w.sets {
			rs.Labels, rs.OwnerReferences = w.deployment.Spec.Selector.MatchLabels, w.owner()
		}
		total, available := w.sizes()
		w.decide()
		if err := w.apply(); err != nil {
			return
		}
		totalAfter, availableAfter := w.sizes()
		if totalAfter > total && totalAfter > wanted+surge {
			t.Fatalf("%d Pods become %d, more than %d + %d:\n%s", total, totalAfter, wanted, surge, w.last)
		}
		if availableAfter < available && availableAfter < wanted-unavailable {
			t.Fatalf("%d available Pods become %d, fewer than %d - %d:\n%s", available, availableAfter, wanted, unavailable, w.last)
		}
	})
}

// sizes are how many Pods the Deployment's ReplicaSets are told to have, and
// how many of those are available.
func (w *world) sizes() (total, available int32) {
	for _, rs := range w.sets {
		if metav1.IsControlledBy(rs, w.deployment) {
			total += *rs.Spec.Replicas
			available += min(rs.Status.AvailableReplicas, *rs.Spec.Replicas)
		}
	}
	return total, available
}

func TestRevisionsOnlyGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		last := int64(0)
		for range rapid.IntRange(1, 12).Draw(t, "updates") {
			must(t, w.changeDeployment([]string{"image=" + rapid.SampledFrom(images).Draw(t, "image")}))
			w.Do("rollout")
			w.Answer()
			revision, err := strconv.ParseInt(w.deployment.Annotations[rollout.RevisionAnnotation], 10, 64)
			if err != nil || revision < last || revision > last+1 {
				t.Fatalf("revision %d follows %d", revision, last)
			}
			last = revision
		}
	})
}
