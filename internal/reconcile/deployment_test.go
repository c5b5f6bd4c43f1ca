package reconcile_test

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"coxswain.dev/cox/internal/rollout"
)

// onlySet is the name of the only ReplicaSet there is.
func (w *world) onlySet() string {
	w.Helper()
	if len(w.sets.objects) != 1 {
		w.Fatalf("there are %d ReplicaSets", len(w.sets.objects))
	}
	for name := range w.sets.objects {
		return name
	}
	return ""
}

func TestADeploymentMakesItsSetOnceAndWaitsForItsCache(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.show()
	_, err := w.reconcileDeployment()
	w.succeeds(err)
	name := w.onlySet()
	w.asks("create ReplicaSet "+name, "update Deployment web", "status Deployment web")
	w.deployments.show()
	_, err = w.reconcileDeployment()
	w.succeeds(err)
	w.asks()
	w.settle(w.reconcileDeployment)
	if want := "Normal ScalingReplicaSet Scaled up replica set " + name + " from 0 to 3"; !slices.Equal(w.events, []string{want}) {
		t.Errorf("events %q", w.events)
	}
	if d := w.deployments.objects["web"]; d.Annotations[rollout.RevisionAnnotation] != "1" || len(d.Status.Conditions) == 0 {
		t.Errorf("the Deployment is %+v", d)
	}
}

// takeName makes another ReplicaSet have the name that the Deployment's would.
func takeName(w *world, change func(d *appsv1.Deployment, set *appsv1.ReplicaSet)) string {
	trial := newWorld(w.TB)
	d := trial.deployment(3)
	trial.settle(trial.reconcileDeployment)
	name := trial.onlySet()
	set := copied(trial.sets.objects[name])
	change(d, set)
	w.deployment(3)
	w.show()
	w.sets.put(set) // the cache does not know
	return name
}

// kubernetes/kubernetes#29735: a name that another template has is not waited
// for, and another one is chosen.
func TestATakenNameIsCountedAsACollision(t *testing.T) {
	for name, change := range map[string]func(d *appsv1.Deployment, set *appsv1.ReplicaSet){
		"another template": func(_ *appsv1.Deployment, set *appsv1.ReplicaSet) { set.Spec.Template = template("another") },
		"another owner":    func(_ *appsv1.Deployment, set *appsv1.ReplicaSet) { set.OwnerReferences[0].UID = "theirs" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			taken := takeName(w, change)
			_, err := w.reconcileDeployment()
			w.fails(err, "the name "+taken+" is taken")
			if got := w.deployments.objects["web"].Status.CollisionCount; got == nil || *got != 1 {
				t.Fatalf("collisionCount %v", got)
			}
			w.settle(w.reconcileDeployment)
			if len(w.sets.objects) != 2 {
				t.Errorf("there are %d ReplicaSets", len(w.sets.objects))
			}
		})
	}
}

func TestANameThatItsOwnSetHasIsNoCollision(t *testing.T) {
	w := newWorld(t)
	name := takeName(w, func(*appsv1.Deployment, *appsv1.ReplicaSet) {})
	_, err := w.reconcileDeployment()
	w.succeeds(err)
	asked := w.asked()
	if want := []string{"create ReplicaSet " + name, "get ReplicaSet " + name}; !slices.Equal(asked[:2], want) {
		t.Errorf("the requests are %q", asked)
	}
	w.settle(w.reconcileDeployment)
	if got := w.deployments.objects["web"].Status.CollisionCount; got != nil || len(w.sets.objects) != 1 || len(w.events) > 0 {
		t.Errorf("collisionCount %v, %d ReplicaSets, events %q", got, len(w.sets.objects), w.events)
	}
}

func TestASetThatCannotBeMadeIsReported(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.show()
	w.failing("create ReplicaSet", apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "web", errBroken), false)
	_, err := w.reconcileDeployment()
	w.fails(err, "forbidden")
	if len(w.events) != 1 || w.events[0][:29] != "Warning ReplicaSetCreateError" {
		t.Errorf("events %q", w.events)
	}
	w.asked()
	_, err = w.reconcileDeployment()
	w.fails(err, "forbidden") // an answer leaves nothing to be found out
	if asked := w.asked(); count(asked, "get") > 0 {
		t.Errorf("the requests are %q", asked)
	}
}

// A size is written to the state that it was decided for.
func TestASetIsResizedAsItWasSeen(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.settle(w.reconcileDeployment)
	name := w.onlySet()
	changed := copied(w.sets.objects[name])
	*changed.Spec.Replicas = 7
	w.sets.put(changed)
	d := copied(w.deployments.objects["web"])
	*d.Spec.Replicas = 5
	w.deployments.put(d)
	w.deployments.show()
	_, err := w.reconcileDeployment()
	if !apierrors.IsConflict(err) {
		t.Fatalf("the error is %v", err)
	}
	w.asks("update ReplicaSet " + name)
	w.settle(w.reconcileDeployment)
	if got := *w.sets.objects[name].Spec.Replicas; got != 5 {
		t.Errorf("it has %d replicas", got)
	}
}

func TestAnOldSetIsDeletedAsItWasSeen(t *testing.T) {
	w := newWorld(t)
	d := w.deployment(0, func(d *appsv1.Deployment) { *d.Spec.RevisionHistoryLimit = 0 })
	w.settle(w.reconcileDeployment)
	old := copied(w.sets.objects[w.onlySet()])
	old.Name, old.UID, old.Spec.Template = "old", "", template("v0")
	old.OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
	old.Annotations = map[string]string{rollout.RevisionAnnotation: "0"}
	old = w.sets.put(old)
	w.show()
	*old.Spec.Replicas = 3 // somebody wants it after all
	w.sets.put(old)
	w.asked()
	_, err := w.reconcileDeployment()
	if !apierrors.IsConflict(err) {
		t.Fatalf("the error is %v", err)
	}
	if _, there := w.sets.objects["old"]; !there {
		t.Error("it was deleted")
	}
}

func TestADeploymentReleasesWhatDoesNotMatchAndAdoptsWhatDoes(t *testing.T) {
	w := newWorld(t)
	w.deployment(2)
	w.settle(w.reconcileDeployment)
	name := w.onlySet()
	set := copied(w.sets.objects[name])
	set.OwnerReferences = nil
	w.sets.put(set)
	w.settle(w.reconcileDeployment)
	if owned := metav1.IsControlledBy(w.sets.objects[name], w.deployments.objects["web"]); !owned || len(w.sets.objects) != 1 {
		t.Fatalf("not adopted, or another made: %d", len(w.sets.objects))
	}
	set = copied(w.sets.objects[name])
	set.Labels = map[string]string{"app": "theirs"}
	w.sets.put(set)
	w.show()
	w.asked()
	_, err := w.reconcileDeployment()
	w.succeeds(err)
	w.asks("patch ReplicaSet " + name)
	if owners := w.sets.objects[name].OwnerReferences; len(owners) > 0 {
		t.Errorf("not released: %v", owners)
	}
	w.show()
	_, err = w.reconcileDeployment()
	w.fails(err, "taken") // by the released one
	w.settle(w.reconcileDeployment)
	if len(w.sets.objects) != 2 {
		t.Errorf("there are %d ReplicaSets", len(w.sets.objects))
	}
}

func TestADeploymentWakesWhenItsDeadlineHasPassed(t *testing.T) {
	w := newWorld(t)
	w.deployment(1)
	w.settle(w.reconcileDeployment)
	wakeAt, err := w.reconcileDeployment()
	w.succeeds(err)
	if late := wakeAt.Sub(start.Add(600 * time.Second)); late < 0 || late > 2*time.Second {
		t.Fatalf("it wakes at %v", wakeAt)
	}
	w.now = wakeAt
	w.settle(w.reconcileDeployment)
	for _, condition := range w.deployments.objects["web"].Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing && condition.Reason != rollout.ProgressDeadlineExceeded {
			t.Errorf("the condition is %+v", condition)
		}
	}
	if wakeAt, err = w.reconcileDeployment(); err != nil || !wakeAt.IsZero() {
		t.Errorf("it wakes again at %v, %v", wakeAt, err)
	}
}

func TestADeploymentThatIsGoneIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.deployment(1)
	w.settle(w.reconcileDeployment)
	w.deployments.remove("web")
	w.now = start.Add(time.Hour)
	_, err := w.reconcileDeployment()
	w.succeeds(err) // its status has nowhere to go
	w.show()
	w.asked()
	_, err = w.reconcileDeployment()
	w.succeeds(err)
	w.asks()
}

func TestWhoseAReplicaSetIs(t *testing.T) {
	w := newWorld(t)
	d := w.deployment(1)
	w.show()
	set := w.replicaSet(1)
	if got := w.deploymentController.Owners(set); len(got) != 1 || got[0] != web {
		t.Errorf("nobody's, matching: %v", got)
	}
	set.OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
	if got := w.deploymentController.Owners(set); len(got) != 1 || got[0] != web {
		t.Errorf("its Deployment's: %v", got)
	}
	set.OwnerReferences[0].Kind = "Rollout"
	if got := w.deploymentController.Owners(set); len(got) != 0 {
		t.Errorf("another kind's: %v", got)
	}
	set.OwnerReferences, set.Labels = nil, nil
	if got := w.deploymentController.Owners(set); len(got) != 0 {
		t.Errorf("nobody's, without labels: %v", got)
	}
}
