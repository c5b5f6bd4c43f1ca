package reconcile_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The tests of this file are the mistakes that the simulator found in this
// package.

// A ReplicaSet went with the Deployment that was being deleted so that its
// ReplicaSets would stay.
func TestMendedAReplicaSetAdoptedByADeploymentThatOrphansIt(t *testing.T) {
	for says, change := range map[string]func(w *world){
		"it is being deleted": func(w *world) {
			d := copied(w.deployments.objects["web"])
			d.DeletionTimestamp = &metav1.Time{Time: start}
			w.deployments.put(d)
		},
		"another has its name": func(w *world) { w.deployments.objects["web"].UID = "another" },
		"not found":            func(w *world) { w.deployments.remove("web") },
	} {
		t.Run(says, func(t *testing.T) {
			w := newWorld(t)
			w.deployment(2)
			w.settle(w.reconcileDeployment)
			name := w.onlySet()
			orphan := copied(w.sets.objects[name])
			orphan.OwnerReferences = nil
			w.sets.put(orphan)
			w.show()
			change(w)
			_, err := w.reconcileDeployment()
			w.fails(err, "not adopting ReplicaSets")
			w.fails(err, says)
			if len(w.sets.objects[name].OwnerReferences) > 0 {
				t.Error("it was adopted")
			}
		})
	}
}

// A set made a Pod too many when neither the creation nor the look-up that
// followed it was answered, and deleted one too many likewise.
func TestMendedAPodTooManyAfterAWriteAndALookUpWithoutAnswers(t *testing.T) {
	for _, happened := range []bool{true, false} {
		w := newWorld(t)
		w.replicaSet(2)
		w.show()
		w.fail = func(request string) (error, bool) {
			switch {
			case strings.HasPrefix(request, "create Pod"):
				return errBroken, happened
			case strings.HasPrefix(request, "get Pod"):
				return errBroken, false
			}
			return nil, false
		}
		_, err := w.reconcileSet()
		w.fails(err, "broke")
		w.asked()
		w.show()
		_, err = w.reconcileSet()
		w.fails(err, "finding out what became of a write to web-00001")
		w.asks("get Pod web-00001")
		w.pods.cache.version = "0" // the cache lags behind that creation
		if err := w.pods.cache.Replace(nil, "0"); err != nil {
			t.Fatal(err)
		}
		w.fail = nil
		_, err = w.reconcileSet()
		w.succeeds(err)
		if got := count(w.asked(), "create Pod"); happened && got > 0 {
			t.Errorf("%d Pods more were made, and the first was not seen yet", got)
		}
		w.settle(w.reconcileSet)
		if len(w.pods.objects) != 2 {
			t.Errorf("happened %v: there are %d Pods", happened, len(w.pods.objects))
		}
	}
}

func TestMendedAPodTooFewAfterADeletionWithoutAnAnswer(t *testing.T) {
	for _, happened := range []bool{true, false} {
		w := newWorld(t)
		set := w.replicaSet(1)
		w.pod("a", ownedBySet(set), func(pod *corev1.Pod) { pod.Annotations = map[string]string{corev1.PodDeletionCost: "-1"} })
		w.pod("b", ownedBySet(set))
		w.show()
		w.failing("delete Pod", errBroken, happened)
		_, err := w.reconcileSet()
		w.fails(err, "broke")
		w.sets.show() // the failure's condition is there, the Pods are as before
		w.fail = nil
		w.asked()
		_, err = w.reconcileSet()
		w.succeeds(err)
		if asked := w.asked(); len(asked) == 0 || asked[0] != "get Pod a" || happened && count(asked, "delete") > 0 {
			t.Errorf("happened %v: the requests are %q", happened, asked)
		}
		w.settle(w.reconcileSet)
		if _, there := w.pods.objects["b"]; !there || len(w.pods.objects) != 1 {
			t.Errorf("happened %v: there are %d Pods", happened, len(w.pods.objects))
		}
	}
}

// A Deployment decided for another ReplicaSet, with the cache's old size of
// the one whose write had not been answered, and went over its maximum.
func TestMendedAWriteToAReplicaSetWithoutAnAnswerIsFoundOut(t *testing.T) {
	for _, verb := range []string{"create", "update"} {
		for _, happened := range []bool{true, false} {
			w := newWorld(t)
			w.deployment(3)
			if verb == "update" {
				w.settle(w.reconcileDeployment)
				d := copied(w.deployments.objects["web"])
				*d.Spec.Replicas = 5
				w.deployments.put(d)
			}
			w.show()
			w.failing(verb+" ReplicaSet", errBroken, happened)
			_, err := w.reconcileDeployment()
			w.fails(err, "broke")
			w.asked()
			w.failing("get ReplicaSet", errBroken, false)
			_, err = w.reconcileDeployment()
			w.fails(err, "finding out what became of a write to web-")
			if asked := w.asked(); len(asked) != 1 {
				t.Errorf("%s, happened %v: the requests are %q", verb, happened, asked)
			}
			w.fail = nil
			_, err = w.reconcileDeployment()
			w.succeeds(err)
			if asked := w.asked(); happened && len(asked) != 1 {
				t.Errorf("%s: the cache does not show the write, and there was more than a look: %q", verb, asked)
			}
			w.settle(w.reconcileDeployment)
			if got, want := *w.sets.objects[w.onlySet()].Spec.Replicas, *w.deployments.objects["web"].Spec.Replicas; got != want {
				t.Errorf("%s, happened %v: %d replicas", verb, happened, got)
			}
		}
	}
}

// The same holds for who owns a ReplicaSet, and for its end.
func TestMendedAnotherWriteToAReplicaSetWithoutAnAnswerIsFoundOut(t *testing.T) {
	for name, change := range map[string]func(w *world, set *appsv1.ReplicaSet){
		"patch adoption": func(_ *world, set *appsv1.ReplicaSet) { set.OwnerReferences = nil },
		"patch release":  func(_ *world, set *appsv1.ReplicaSet) { set.Labels = nil },
		"delete": func(w *world, set *appsv1.ReplicaSet) {
			set.Name, set.UID, set.Spec.Template, set.Annotations = "old", "", template("v0"), nil
			*w.deployments.objects["web"].Spec.RevisionHistoryLimit = 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployment(0)
			w.settle(w.reconcileDeployment)
			set := copied(w.sets.objects[w.onlySet()])
			change(w, set)
			w.sets.put(set)
			w.show()
			verb, _, _ := strings.Cut(name, " ")
			w.failing(verb+" ReplicaSet", errBroken, true)
			_, err := w.reconcileDeployment()
			w.fails(err, "broke")
			w.fail = nil
			w.asked()
			_, err = w.reconcileDeployment()
			w.succeeds(err)
			if verb == "delete" {
				w.asks("get ReplicaSet old")
			} else {
				w.asks("get ReplicaSet " + set.Name)
			}
		})
	}
}

// A deletion that a conflict had refused was waited for for ever.
func TestMendedADeletionRefusedByAConflictIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	set := w.replicaSet(0)
	w.pod("p", ownedBySet(set))
	w.show()
	w.pods.objects["p"].UID = "another"
	_, err := w.reconcileSet()
	if !apierrors.IsConflict(err) {
		t.Fatalf("the error is %v", err)
	}
	if len(w.setController.Failed("default")) > 0 || len(w.events) > 0 {
		t.Errorf("a conflict is a failure of the set: events %q", w.events)
	}
	if w.own.Waits(web) {
		t.Fatal("it waits for a deletion that was refused")
	}
	w.settle(w.reconcileSet)
	if len(w.pods.objects) != 0 {
		t.Error("the Pod is there still, and the set's")
	}
}

// Recreate was told by nothing of the end of a Pod that no ReplicaSet counts.
func TestMendedARecreateIsWokenByTheEndOfAPodThatNoStatusCounts(t *testing.T) {
	w := newWorld(t)
	d := w.deployment(1)
	set := w.replicaSet(1)
	set.OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
	set = w.sets.put(set)
	pod := w.pod("p", ownedBySet(set), func(pod *corev1.Pod) { pod.Labels = nil })
	w.show()
	if got := w.deploymentController.Waiting(pod); len(got) != 1 || got[0] != web {
		t.Errorf("waiting: %v", got)
	}
	for name, change := range map[string]func(){
		"a Pod of nobody": func() { pod.OwnerReferences = nil },
		"a Pod of another kind": func() {
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "web", Controller: new(true)}}
		},
		"a Pod of a set unknown":  func() { pod.OwnerReferences[0].Name = "gone" },
		"a set of nobody":         func() { w.sets.objects["web"].OwnerReferences = nil },
		"a set of another kind":   func() { w.sets.objects["web"].OwnerReferences[0].Kind = "Rollout" },
		"a Deployment unknown":    func() { w.sets.objects["web"].OwnerReferences[0].Name = "gone" },
		"a Deployment that rolls": func() { w.deployments.objects["web"].Spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType },
	} {
		pod = w.pod("p", ownedBySet(set))
		w.sets.objects["web"].OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
		change()
		w.show()
		if got := w.deploymentController.Waiting(pod); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
