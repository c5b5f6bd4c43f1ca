package rollout_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
	"sigs.k8s.io/randfill"

	"coxswain.dev/cox/internal/rollout"
)

// filler fills any object with anything, most of which no API would store.
func filler(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.6).NumElements(0, 3).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63(), resource.DecimalSI)
		},
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.NewTime(start.Add(time.Duration(c.Int63()))) },
		func(i *int32, c randfill.Continue) {
			*i = []int32{0, 1, 2, 5, -1, math.MinInt32, math.MaxInt32, math.MaxInt32 - 1, int32(c.Uint32())}[c.Intn(9)]
		},
		func(v *intstr.IntOrString, c randfill.Continue) {
			if c.Bool() {
				*v = intstr.FromString(bounds[c.Intn(len(bounds))])
				return
			}
			*v = intstr.FromInt32(int32(c.Uint32()))
		},
		func(f *metav1.FieldsV1, _ randfill.Continue) { *f = metav1.FieldsV1{} },
		func(s *string, c randfill.Continue) {
			*s = []string{"", "web", "ä %s", "-1", "99999999999"}[c.Intn(5)]
		},
		func(s *appsv1.DeploymentStrategyType, c randfill.Continue) {
			*s = []appsv1.DeploymentStrategyType{"RollingUpdate", "Recreate", "", "Nonsense"}[c.Intn(4)]
		},
	)
}

var annotations = []string{
	rollout.RevisionAnnotation, rollout.RevisionHistoryAnnotation, rollout.DesiredReplicasAnnotation, rollout.MaxReplicasAnnotation,
	rollout.PodReplacementPolicyAnnotation, appsv1.DeprecatedRollbackTo,
}

// drawAnything draws a snapshot of filled objects, which are so far in order
// that there is something to decide: most ReplicaSets are the Deployment's.
func drawAnything(t *rapid.T) rollout.Snapshot {
	fill := filler(rapid.Int64().Draw(t, "seed"))
	annotate := func(object metav1.Object, name string) {
		notes := object.GetAnnotations()
		for _, key := range annotations {
			if value := rapid.SampledFrom(append(counts, "1,2,3", rollout.TerminationComplete, "absent")).Draw(t, name+" "+key); value != "absent" {
				if notes == nil {
					notes = map[string]string{}
				}
				notes[key] = value
			}
		}
		object.SetAnnotations(notes)
	}
	d := &appsv1.Deployment{}
	fill.Fill(d)
	annotate(d, "web")
	d.Name, d.Namespace, d.UID = "web", "default", "uid"
	if rapid.IntRange(0, 3).Draw(t, "stays") > 0 {
		d.DeletionTimestamp, d.Spec.Selector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	}
	s := rollout.Snapshot{Now: start, Deployment: d, Pods: map[types.UID][]*corev1.Pod{}}
	for i := range rapid.IntRange(0, 4).Draw(t, "sets") {
		name := fmt.Sprintf("web-%d", i)
		rs := &appsv1.ReplicaSet{}
		fill.Fill(rs)
		annotate(rs, name)
		rs.Name, rs.Namespace, rs.UID = name, "default", types.UID(name)
		if rapid.IntRange(0, 3).Draw(t, name+" is ours") > 0 {
			rs.Labels = map[string]string{"app": "web"}
			rs.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
		}
		if rapid.Bool().Draw(t, name+" is new") {
			rs.Spec.Template = *d.Spec.Template.DeepCopy()
		}
		s.ReplicaSets = append(s.ReplicaSets, rs)
		for range rapid.IntRange(0, 2).Draw(t, name+" Pods") {
			pod := &corev1.Pod{}
			fill.Fill(pod)
			s.Pods[rs.UID] = append(s.Pods[rs.UID], pod)
		}
	}
	return s
}

// Whatever it is given, Decide does not panic, asks for no negative size, does
// not turn on the spot, and depends on no order.
func TestAnythingIsDecidedAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawAnything(t)
		given := slices.Clone(s.ReplicaSets)
		decision := rollout.Decide(s)
		if !slices.Equal(given, s.ReplicaSets) {
			t.Fatal("the ReplicaSets that it was given are in another order")
		}
		for _, action := range decision.Actions {
			switch a := action.(type) {
			case rollout.Update:
				if a.To < 0 {
					t.Fatalf("a size below none: %s", decision)
				}
			case rollout.Create:
				if *a.ReplicaSet.Spec.Replicas < 0 {
					t.Fatalf("a size below none: %s", decision)
				}
			}
		}
		slices.Reverse(s.ReplicaSets)
		for _, pods := range s.Pods {
			slices.Reverse(pods)
		}
		if got, want := rollout.Decide(s).String(), decision.String(); got != want {
			t.Fatalf("in another order:\n%s\nnot\n%s", got, want)
		}
		settlesWithoutActions(t, s)
	})
}

// settlesWithoutActions writes the status for as long as there is nothing else
// to do. A step more may be taken where a deadline is in the past already.
func settlesWithoutActions(t *rapid.T, s rollout.Snapshot) {
	const most = 3
	for range most {
		decision := rollout.Decide(s)
		if len(decision.Actions) > 0 {
			return
		}
		if equality.Semantic.DeepEqual(decision.Status, s.Deployment.Status) {
			if !decision.WakeAt.IsZero() && !decision.WakeAt.After(s.Now) {
				t.Fatalf("nothing is to be done, and it wants to be woken at %v: it is %v", decision.WakeAt, s.Now)
			}
			return
		}
		d := *s.Deployment
		d.Status = decision.Status
		s.Deployment = &d
	}
	t.Fatalf("the status does not settle:\n%s", rollout.Decide(s))
}

// Versions that differ in a few characters have names that differ
// (kubernetes/kubernetes#43449).
func TestVersionsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for minor := range 50 {
		for patch := range 20 {
			image := fmt.Sprintf("registry/test/cats:v0.%d.%d", minor, patch)
			template := template(image)
			hash := rollout.Hash(&template, nil)
			if before, taken := seen[hash]; taken {
				t.Fatalf("%s and %s are both %s", before, image, hash)
			}
			seen[hash] = image
		}
	}
}
