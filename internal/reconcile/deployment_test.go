package reconcile

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/rollout"
)

func (w *world) reconcileDeployment(t *testing.T) error {
	t.Helper()
	if !w.deployment.Own.Reached(web) {
		return nil
	}
	_, err := w.deployment.Reconcile(t.Context(), web)
	return err
}

func TestAWaveIsAppliedOnce(t *testing.T) {
	w := newWorld(t)
	w.webDeployment(2)
	if err := w.reconcileDeployment(t); err != nil {
		t.Fatal(err)
	}
	written := len(w.deployments.requests) + len(w.sets.requests)
	if len(w.sets.stored) != 1 || w.deployments.stored["web"].Annotations[rollout.RevisionAnnotation] != "1" {
		t.Fatalf("after the first wave: %v %v", w.sets.requests, w.deployments.requests)
	}
	w.deployments.sync()
	if err := w.reconcileDeployment(t); err != nil || len(w.deployments.requests)+len(w.sets.requests) != written {
		t.Fatalf("with a cache that is behind: %v, %v %v", err, w.sets.requests, w.deployments.requests)
	}
	w.sets.sync()
	if err := w.reconcileDeployment(t); err != nil || len(w.sets.requests) != 1 {
		t.Fatalf("with all seen: %v, %v", err, w.sets.requests)
	}
}

// A ReplicaSet whose creation had no answer is the one that is used.
func TestAReplicaSetWithALostAnswerIsUsed(t *testing.T) {
	w := newWorld(t)
	w.webDeployment(2)
	w.sets.fail = func(verb string) (error, bool) { return errBroken, verb == "create" }
	if err := w.reconcileDeployment(t); err == nil {
		t.Fatal("no error")
	}
	w.sets.fail = nil
	for range 3 {
		if err := w.reconcileDeployment(t); err != nil {
			t.Fatal(err)
		}
		w.deployments.sync()
		w.sets.sync()
	}
	if len(w.sets.stored) != 1 || w.deployments.stored["web"].Status.CollisionCount != nil {
		t.Errorf("%d ReplicaSets, collisions %v", len(w.sets.stored), w.deployments.stored["web"].Status.CollisionCount)
	}
}

// A name that another template has is answered with another one.
func TestATakenNameIsCounted(t *testing.T) {
	w := newWorld(t)
	d := w.webDeployment(2)
	taken := w.webSet(0)
	taken.Name, taken.UID = "web-"+rollout.Hash(&d.Spec.Template, nil), ""
	taken.Labels = map[string]string{"app": "other"}
	delete(w.sets.stored, "web")
	w.sets.put(taken)
	w.sets.sync()
	if err := w.reconcileDeployment(t); err == nil || !strings.Contains(err.Error(), "is taken by another template") {
		t.Fatalf("err = %v", err)
	}
	if count := w.deployments.stored["web"].Status.CollisionCount; count == nil || *count != 1 {
		t.Fatalf("collisions = %v, want 1", count)
	}
	w.deployments.sync()
	if err := w.reconcileDeployment(t); err != nil || len(w.sets.stored) != 2 {
		t.Errorf("%d ReplicaSets, and %v", len(w.sets.stored), err)
	}
}

// A Deployment that is being deleted with its ReplicaSets orphaned adopts none,
// though its cache does not know: mended in bfc4bf3.
func TestADeploymentThatGoesAdoptsNothing(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"being deleted": func(w *world) { w.deployments.stored["web"].DeletionTimestamp = &metav1.Time{Time: now} },
		"replaced":      func(w *world) { w.deployments.stored["web"].UID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.webDeployment(1)
			cached := *w.deployments.cached["web"]
			w.deployments.cached["web"] = &cached
			w.webSet(1)
			change(w)
			if err := w.reconcileDeployment(t); err == nil || !strings.Contains(err.Error(), "not adopting ReplicaSets") {
				t.Errorf("err = %v", err)
			}
			if len(w.sets.requests) > 0 {
				t.Errorf("requests: %v", w.sets.requests)
			}
		})
	}
}

// A write to a ReplicaSet that may have happened is found out first: mended in
// bfc4bf3.
func TestAnUnansweredUpdateIsFoundOut(t *testing.T) {
	w := newWorld(t)
	w.webDeployment(2)
	for range 2 {
		if err := w.reconcileDeployment(t); err != nil {
			t.Fatal(err)
		}
		w.deployments.sync()
		w.sets.sync()
	}
	d := w.deployments.stored["web"].DeepCopy()
	d.Spec.Replicas, d.Generation = new(int32(5)), 2
	w.deployments.put(d)
	w.deployments.sync()
	w.sets.fail = func(verb string) (error, bool) { return errBroken, verb == "update" }
	if err := w.reconcileDeployment(t); err == nil {
		t.Fatal("no error")
	}
	w.sets.fail = nil
	if err := w.reconcileDeployment(t); err != nil {
		t.Fatal(err)
	}
	if updates := w.sets.count("update"); updates != 1 {
		t.Errorf("%d updates before the cache has shown the first", updates)
	}
	w.sets.sync()
	if err := w.reconcileDeployment(t); err != nil || w.sets.count("update") != 1 {
		t.Errorf("%v: %v", err, w.sets.requests)
	}
}

// A ReplicaSet that has changed since it was seen is not written.
func TestAnUpdateOfWhatHasChangedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.webDeployment(2)
	for range 2 {
		if err := w.reconcileDeployment(t); err != nil {
			t.Fatal(err)
		}
		w.deployments.sync()
		w.sets.sync()
	}
	for _, rs := range w.sets.stored {
		w.sets.put(rs) // a status, say
	}
	d := w.deployments.stored["web"].DeepCopy()
	d.Spec.Replicas = new(int32(5))
	w.deployments.put(d)
	w.deployments.sync()
	if err := w.reconcileDeployment(t); !apierrors.IsConflict(err) {
		t.Errorf("err = %v, want a conflict", err)
	}
}
