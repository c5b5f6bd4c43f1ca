package replicas_test

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"coxswain.dev/cox/internal/replicas"
)

// settings are what Pods are drawn from: everything that Decide looks at, and
// some of what no API server would store.
var settings = map[string][]string{
	"owner":           {"web", "web", "web", "none", "other", "web@uid-of-the-old-web"},
	"labels":          {"app=web", "app=web", "app=web,tier=front", "app=other", ""},
	"node":            {"n1", "n2", "none"},
	"phase":           {"Pending", "Running", "Running", "Unknown", "Succeeded", "Failed", "", "Nonsense"},
	"ready":           {"no", "unset", "0s", "1s", "40m", "60m", "90000h", "-1h"},
	"age":             {"none", "0s", "1s", "61m", "60m", "900000h", "-1h"},
	"cost":            {"0", "5", "-5", "99999999999", "many", ""},
	"restarts":        {"0", "3", "-1"},
	"sidecarRestarts": {"0", "4"},
}

func drawWorld(t *rapid.T) *world {
	w := newWorld()
	w.set.Replicas = rapid.Int32Range(-1, 12).Draw(t, "replicas")
	w.set.MinReadySeconds = rapid.SampledFrom([]int32{-1, 0, 10, 3600}).Draw(t, "minReady")
	if rapid.IntRange(0, 9).Draw(t, "deleting") == 0 {
		w.set.Meta.DeletionTimestamp = &metav1.Time{Time: w.now}
	}
	for i := range rapid.IntRange(0, 15).Draw(t, "pods") {
		name := fmt.Sprintf("pod-%d", i)
		w.pods[name] = drawPod(t, w, name)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "related") {
		name := fmt.Sprintf("related-%d", i)
		w.related[name] = drawPod(t, w, name)
	}
	return w
}

func drawPod(t *rapid.T, w *world, name string) *corev1.Pod {
	var chosen []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		chosen = append(chosen, key+"="+rapid.SampledFrom(settings[key]).Draw(t, name+" "+key))
	}
	if rapid.IntRange(0, 5).Draw(t, name+" deleting") == 0 {
		chosen = append(chosen, "deleting")
	}
	pod, err := w.podOf(name, chosen)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// counting are the Pods that are the set's and stay.
func (w *world) counting() []*corev1.Pod {
	return slices.DeleteFunc(slices.Collect(maps.Values(w.pods)), func(pod *corev1.Pod) bool {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		return ended || pod.DeletionTimestamp != nil || pod.Labels["app"] != "web" || !metav1.IsControlledBy(pod, &w.set.Meta)
	})
}

func TestOneDecisionIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.decide()
		w.apply()
		if w.set.Meta.DeletionTimestamp == nil {
			if have, want := len(w.counting()), int(max(0, w.set.Replicas)); have != want {
				t.Fatalf("there are %d Pods, not %d, after %s", have, want, w.last)
			}
		}
		if again := w.decide(); len(again.Adopt)+len(again.Release)+again.Create+len(again.Delete) > 0 {
			t.Fatalf("the second decision wants more:\n%s", again)
		}
		w.apply()
		if status := w.decide().Status; status != w.set.Status {
			t.Fatalf("the status does not settle: %+v, then %+v", w.set.Status, status)
		}
	})
}

func TestOrderOfPodsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		pods := slices.Collect(maps.Values(w.pods))
		snapshot := replicas.Snapshot{Now: w.now, Set: w.set, Pods: pods, Related: slices.Collect(maps.Values(w.related))}
		first := replicas.Decide(snapshot).String()
		order := rand.New(rand.NewSource(rapid.Int64().Draw(t, "order")))
		snapshot.Pods = slices.Clone(pods)
		order.Shuffle(len(pods), func(i, j int) { snapshot.Pods[i], snapshot.Pods[j] = snapshot.Pods[j], snapshot.Pods[i] })
		slices.Reverse(snapshot.Related)
		if second := replicas.Decide(snapshot).String(); first != second {
			t.Fatalf("shuffled, another decision:\n%s%s", first, second)
		}
	})
}

func TestNeverTakesMoreThanTheSurplusNorMakesMoreThanIsMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.decide()
		for _, ref := range before.Adopt {
			w.pods[ref.Name].OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&w.set.Meta, w.set.Kind)}
		}
		have, want := len(w.counting()), int(max(0, w.set.Replicas))
		if before.Create > max(0, want-have) || len(before.Delete) > max(0, have-want) {
			t.Fatalf("%d Pods of %d, and yet %s", have, want, before)
		}
		seen := map[string]bool{}
		for _, ref := range before.Delete {
			pod := w.pods[ref.Name]
			if seen[ref.Name] || pod.UID != ref.UID || !slices.Contains(w.counting(), pod) {
				t.Fatalf("%s is not the set's to delete, or deleted twice: %s", ref.Name, before)
			}
			seen[ref.Name] = true
		}
	})
}

func TestDecideLeavesItsArgumentAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		copies := map[string]*corev1.Pod{}
		for name, pod := range w.pods {
			copies[name] = pod.DeepCopy()
		}
		w.decide()
		for name, pod := range w.pods {
			if !equality.Semantic.DeepEqual(pod, copies[name]) {
				t.Fatalf("%s was changed", name)
			}
		}
	})
}

func TestWakesWhenAPodBecomesAvailable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := w.decide()
		if before.WakeAt.IsZero() {
			return
		}
		w.now = before.WakeAt.Add(-time.Nanosecond)
		early := w.decide().Status.AvailableReplicas
		w.now = before.WakeAt
		if late := w.decide().Status.AvailableReplicas; early != before.Status.AvailableReplicas || late <= early {
			t.Fatalf("available %d, then %d, and at %s %d", before.Status.AvailableReplicas, early, before.WakeAt, late)
		}
	})
}
