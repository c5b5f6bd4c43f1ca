package replicas_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/randfill"

	"coxswain.dev/cox/internal/replicas"
)

// filler fills any object with anything, most of which no API would store.
func filler(seed int64, now time.Time) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.6).NumElements(0, 3).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63(), resource.DecimalSI)
		},
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.NewTime(now.Add(time.Duration(c.Int63()))) },
		func(i *int32, c randfill.Continue) {
			*i = []int32{0, 1, 5, -1, math.MinInt32, math.MaxInt32, int32(c.Uint32())}[c.Intn(7)]
		},
		func(f *metav1.FieldsV1, _ randfill.Continue) { *f = metav1.FieldsV1{} },
		func(p *corev1.PodPhase, c randfill.Continue) {
			*p = []corev1.PodPhase{"", "Pending", "Running", "Succeeded", "Failed", "Unknown", "Nonsense"}[c.Intn(7)]
		},
		func(k *corev1.PodConditionType, c randfill.Continue) {
			*k = []corev1.PodConditionType{corev1.PodReady, corev1.PodScheduled, "Nonsense"}[c.Intn(3)]
		},
		func(s *corev1.ConditionStatus, c randfill.Continue) {
			*s = []corev1.ConditionStatus{"True", "False", "Unknown", ""}[c.Intn(4)]
		},
	)
}

// drawAnything draws a set and Pods of which most are so far in order that the
// set has them.
func drawAnything(t *rapid.T) replicas.Snapshot {
	w := newWorld()
	fill := filler(rapid.Int64().Draw(t, "seed"), w.now)
	set := w.set
	fill.Fill(&set.Status)
	fill.Fill(&set.Template)
	set.Replicas = rapid.SampledFrom([]int32{0, 1, 3, -1, 1000, math.MaxInt32, math.MinInt32}).Draw(t, "replicas")
	set.MinReadySeconds = rapid.SampledFrom([]int32{0, 1, -1, math.MaxInt32, math.MinInt32}).Draw(t, "minReady")
	if rapid.IntRange(0, 5).Draw(t, "selects everything") == 0 {
		set.Selector = labels.Everything()
	}
	s := replicas.Snapshot{Now: w.now, Set: set}
	for i := range rapid.IntRange(0, 8).Draw(t, "pods") {
		name := fmt.Sprintf("pod-%d", i)
		pod := &corev1.Pod{}
		fill.Fill(pod)
		pod.Name, pod.Namespace, pod.UID = name, set.Meta.Namespace, types.UID(name)
		if rapid.IntRange(0, 3).Draw(t, name+" is the set's") > 0 {
			pod.Labels = map[string]string{"app": "web"}
			pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&set.Meta, set.Kind)}
		}
		if rapid.Bool().Draw(t, name+" stays") {
			pod.DeletionTimestamp = nil
		}
		if rapid.IntRange(0, 3).Draw(t, name+" is related") == 0 {
			s.Related = append(s.Related, pod)
			continue
		}
		s.Pods = append(s.Pods, pod)
	}
	return s
}

// Whatever it is given, Decide does not panic, takes only Pods that are the
// set's, does not turn on the spot, and depends on no order.
func TestAnythingIsDecidedAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawAnything(t)
		decision := replicas.Decide(s)
		if decision.Create < 0 || decision.Create > 0 && len(decision.Delete) > 0 {
			t.Fatalf("made and taken at once: %s", decision)
		}
		for _, ref := range decision.Delete {
			owned := slices.ContainsFunc(s.Pods, func(pod *corev1.Pod) bool { return pod.UID == ref.UID && metav1.IsControlledBy(pod, &s.Set.Meta) })
			if !owned && !slices.Contains(decision.Adopt, ref) {
				t.Fatalf("%s is not the set's: %s", ref.Name, decision)
			}
		}
		if !decision.WakeAt.IsZero() && !decision.WakeAt.After(s.Now) {
			t.Fatalf("it wants to be woken at %v, and it is %v", decision.WakeAt, s.Now)
		}
		slices.Reverse(s.Pods)
		slices.Reverse(s.Related)
		if got, want := replicas.Decide(s).String(), decision.String(); got != want {
			t.Fatalf("in another order:\n%s\nnot\n%s", got, want)
		}
	})
}

// NewPod makes a Pod of any template, with a name that the API takes.
func TestAPodIsMadeOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawAnything(t)
		if s.Set.Template == nil {
			return
		}
		pod := replicas.NewPod(s.Set, "abcde")
		if !metav1.IsControlledBy(pod, &s.Set.Meta) || len(pod.Name) > 63 || pod.Namespace != s.Set.Meta.Namespace {
			t.Fatalf("the Pod is %s/%s of %+v", pod.Namespace, pod.Name, pod.OwnerReferences)
		}
	})
}
