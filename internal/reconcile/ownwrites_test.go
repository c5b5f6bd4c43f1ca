package reconcile_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/reconcile"
)

func written(version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u", ResourceVersion: version}}
}

func TestAWriteIsWaitedForInItsOwnStore(t *testing.T) {
	var requeued []reconcile.Key
	own := reconcile.NewOwnWrites(func(k reconcile.Key) { requeued = append(requeued, k) })
	pods, sets := newStore(), newStore()
	own.Wrote(web, pods, written("10"))
	own.Wrote(web, sets, written("9"))
	other := reconcile.Key{Namespace: "default", Name: "other"}
	if !own.Reached(other) {
		t.Error("another key waits for what was not written for it")
	}
	pods.version = "10"
	if own.Look(); own.Reached(web) || len(requeued) > 0 || !own.Waits(web) {
		t.Fatal("the ReplicaSets have not come to version 9, and it does not wait")
	}
	sets.version = "8"
	if own.Reached(web) {
		t.Fatal("version 8 is taken for version 9")
	}
	sets.version = "100"
	own.Look()
	own.Look()
	if !slices.Equal(requeued, []reconcile.Key{web}) {
		t.Errorf("requeued %v, not the key once", requeued)
	}
	if !own.Reached(web) || own.Waits(web) {
		t.Error("it waits still")
	}
}

func TestTheNewestOfSeveralWritesIsWaitedFor(t *testing.T) {
	for name, versions := range map[string][]string{"in order": {"9", "10"}, "answers that overtook one another": {"10", "9"}} {
		t.Run(name, func(t *testing.T) {
			own, pods := reconcile.NewOwnWrites(func(reconcile.Key) {}), newStore()
			for _, version := range versions {
				own.Wrote(web, pods, written(version))
			}
			if pods.version = "9"; own.Reached(web) {
				t.Error("version 10 is not waited for")
			}
			if pods.version = "10"; !own.Reached(web) {
				t.Error("version 10 is there, and it waits")
			}
		})
	}
}

func TestADeletionIsWaitedForUntilItsObjectIsGoneOrMarked(t *testing.T) {
	mark := metav1.NewTime(start)
	for name, test := range map[string]struct {
		shown *corev1.Pod
		want  bool
	}{
		"still there":            {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}, false},
		"gone":                   {nil, true},
		"marked":                 {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", DeletionTimestamp: &mark}}, true},
		"another under its name": {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "v"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			own, pods := reconcile.NewOwnWrites(func(reconcile.Key) {}), newStore()
			if test.shown != nil {
				test.shown.Name, test.shown.Namespace = "p", "default"
				if err := pods.Add(test.shown); err != nil {
					t.Fatal(err)
				}
			}
			own.Deleted(web, pods, reconcile.Key{Namespace: "default", Name: "p"}, types.UID("u"))
			if got := own.Reached(web); got != test.want {
				t.Errorf("reached: %v", got)
			}
		})
	}
}

func TestACopyOfTheMemoryWaitsByItself(t *testing.T) {
	own := reconcile.NewOwnWrites(func(reconcile.Key) {})
	pods, copied := newStore(), newStore()
	own.Wrote(web, pods, written("5"))
	own.Deleted(web, pods, reconcile.Key{Namespace: "default", Name: "p"}, "u")
	clone := own.Clone(func(reconcile.Key) {}, func(reconcile.Store) reconcile.Store { return copied })
	if pods.version = "5"; !own.Reached(web) || clone.Reached(web) {
		t.Error("the copy looks at the original's store")
	}
	if err := copied.Add(written("1")); err != nil {
		t.Fatal(err)
	}
	if copied.version = "5"; clone.Reached(web) {
		t.Error("the copy has forgotten the deletion")
	}
}
