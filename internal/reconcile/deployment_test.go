package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	w.show()
	_, err = w.reconcileDeployment()
	w.succeeds(err)
	w.asks() // its own annotation is nothing to be looked at once more
	if d := w.deployments.objects["web"]; d.Generation != 2 || d.Status.ObservedGeneration != 2 {
		t.Errorf("of generation %d, %d is observed", d.Generation, d.Status.ObservedGeneration)
	}
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
	d := w.deployment(3)
	w.show()
	w.failing("create ReplicaSet", apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "web", errBroken), false)
	_, err := w.reconcileDeployment()
	w.fails(err, "forbidden")
	if strings.Contains(err.Error(), "nor could") {
		t.Errorf("the status says so, and the error is %v", err)
	}
	said := "Failed to create new replica set \"web-" + rollout.Hash(&d.Spec.Template, nil) + "\": replicasets \"web\" is forbidden: the connection broke"
	if len(w.events) != 1 || w.events[0] != "Warning ReplicaSetCreateError "+said {
		t.Errorf("events %q", w.events)
	}
	condition := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ReplicaSetCreateError", Message: said,
		LastUpdateTime: metav1.NewTime(start), LastTransitionTime: metav1.NewTime(start),
	}
	if got := w.progressing(); got != condition {
		t.Errorf("the condition is %+v", got)
	}
	if got := w.deployments.objects["web"].Status; got.ObservedGeneration != 1 || got.UnavailableReplicas != 3 || len(got.Conditions) != 2 {
		t.Errorf("the status is %+v", got)
	}
	w.asked()
	w.show()
	_, err = w.reconcileDeployment()
	w.fails(err, "forbidden") // an answer leaves nothing to be found out
	if asked := w.asked(); count(asked, "get")+count(asked, "status") > 0 {
		t.Errorf("the requests are %q", asked)
	}
}

// What is not known to be refused is not said to be; nor is it where nobody
// will read it.
func TestASetThatMayHaveBeenMadeIsNotSaidToBeRefused(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "web", errBroken)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		err    error
		events int
	}{"a broken connection": {errBroken, 1}, "a namespace that goes": {terminating, 0}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployment(3)
			w.show()
			w.failing("create ReplicaSet", c.err, false)
			_, err := w.reconcileDeployment()
			w.fails(err, "broke")
			if got := w.deployments.objects["web"].Status.Conditions; len(got) > 0 || len(w.events) != c.events {
				t.Errorf("conditions %+v, events %q", got, w.events)
			}
		})
	}
}

// The cause of a refusal decides what is done next, also where the status could
// not be written.
func TestARefusalThatCouldNotBeToldIsStillTheError(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.show()
	w.fail = func(request string) (error, bool) {
		switch {
		case strings.HasPrefix(request, "create ReplicaSet"):
			return apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "web", errors.New("enough")), false
		case strings.HasPrefix(request, "status Deployment"):
			return apierrors.NewConflict(schema.GroupResource{Resource: "deployments"}, "web", errors.New("changed")), false
		}
		return nil, false
	}
	_, err := w.reconcileDeployment()
	w.fails(err, "enough")
	w.fails(err, "changed")
	if !apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
		t.Errorf("the error is %v", err)
	}
}

// The annotation of old API versions' spec.rollbackTo, in upstream's words.
func TestADeploymentIsRolledBack(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.settle(w.reconcileDeployment)
	change := func(change func(d *appsv1.Deployment)) {
		d := copied(w.deployments.objects["web"])
		change(d)
		w.deployments.put(d)
		w.events = nil
		w.settle(w.reconcileDeployment)
	}
	change(func(d *appsv1.Deployment) { d.Spec.Template = template("v2") })
	change(func(d *appsv1.Deployment) { d.Annotations[appsv1.DeprecatedRollbackTo] = "0" })
	d := w.deployments.objects["web"]
	if _, asked := d.Annotations[appsv1.DeprecatedRollbackTo]; asked || d.Spec.Template.Spec.Containers[0].Image != "v1" || len(d.Spec.Template.Labels) != 1 {
		t.Errorf("the Deployment is %+v", d)
	}
	if want := `Normal DeploymentRollback Rolled back deployment "web" to revision 1`; !slices.Contains(w.events, want) {
		t.Errorf("events %q", w.events)
	}
	change(func(d *appsv1.Deployment) { d.Annotations[appsv1.DeprecatedRollbackTo] = "77" })
	if want := "Warning DeploymentRollbackRevisionNotFound Unable to find the revision to rollback to."; !slices.Equal(w.events, []string{want}) {
		t.Errorf("events %q", w.events)
	}
}

// A write that was refused is not told of as if it were done.
func TestARollbackThatFailsIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.deployment(3)
	w.settle(w.reconcileDeployment)
	d := copied(w.deployments.objects["web"])
	d.Annotations[appsv1.DeprecatedRollbackTo] = "77"
	w.deployments.put(d)
	w.show()
	w.events = nil
	w.failing("update Deployment", errBroken, false)
	_, err := w.reconcileDeployment()
	w.fails(err, "broke")
	if len(w.events) > 0 {
		t.Errorf("events %q", w.events)
	}
}

func TestADeploymentThatSelectsAllIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.deployment(3, func(d *appsv1.Deployment) { d.Spec.Selector = &metav1.LabelSelector{} })
	w.settle(w.reconcileDeployment)
	w.settle(w.reconcileDeployment)
	if want := "Warning SelectingAll This deployment is selecting all pods. A non-empty selector is required."; !slices.Equal(w.events, []string{want}) {
		t.Errorf("events %q", w.events)
	}
	if got := w.deployments.objects["web"].Status.ObservedGeneration; got != 1 {
		t.Errorf("observed generation %d", got)
	}
}

// Owners that do not control a ReplicaSet are none of the Deployment's business.
func TestOtherOwnersOfASetStay(t *testing.T) {
	w := newWorld(t)
	w.deployment(2)
	w.settle(w.reconcileDeployment)
	name := w.onlySet()
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "uid-of-other"}
	set := copied(w.sets.objects[name])
	set.OwnerReferences = []metav1.OwnerReference{other}
	w.sets.put(set)
	w.settle(w.reconcileDeployment)
	if owners := w.sets.objects[name].OwnerReferences; len(owners) != 2 || !metav1.IsControlledBy(w.sets.objects[name], w.deployments.objects["web"]) {
		t.Fatalf("adopted, it has the owners %v", owners)
	}
	set = copied(w.sets.objects[name])
	set.Labels = map[string]string{"app": "theirs"}
	w.sets.put(set)
	w.show()
	_, err := w.reconcileDeployment()
	w.succeeds(err)
	if owners := w.sets.objects[name].OwnerReferences; !slices.Equal(owners, []metav1.OwnerReference{other}) {
		t.Errorf("released, it has the owners %v", owners)
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

// What was not watched may have been progress: a rollout gets its time anew
// after a restart, and when the clock is set.
func TestADeadlineDoesNotPassWhileNobodyWatches(t *testing.T) {
	for name, away := range map[string]func(w *world){
		"a restart":      func(w *world) { w.now = w.now.Add(time.Hour); w.startDeployments() },
		"a step forward": func(w *world) { w.now, w.clockSet = w.now.Add(time.Hour), w.clockSet+time.Hour },
		"a step back and forward": func(w *world) {
			w.now, w.clockSet = w.now.Add(-time.Hour), w.clockSet-time.Hour
			w.settle(w.reconcileDeployment)
			w.now, w.clockSet = w.now.Add(2*time.Hour), w.clockSet+2*time.Hour
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployment(1)
			w.settle(w.reconcileDeployment)
			away(w)
			back := w.now
			w.settle(w.reconcileDeployment)
			wakeAt, err := w.reconcileDeployment()
			w.succeeds(err)
			if reason := w.progressing().Reason; reason == rollout.ProgressDeadlineExceeded || !wakeAt.Equal(back.Add(601*time.Second)) {
				t.Errorf("it says %s, and wakes at %v, %v after that", reason, wakeAt, wakeAt.Sub(back))
			}
			w.now = wakeAt
			w.settle(w.reconcileDeployment)
			if reason := w.progressing().Reason; reason != rollout.ProgressDeadlineExceeded {
				t.Errorf("after its time it says %s", reason)
			}
		})
	}
}

func (w *world) progressing() appsv1.DeploymentCondition {
	for _, condition := range w.deployments.objects["web"].Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing {
			return condition
		}
	}
	w.Fatal("there is no Progressing condition")
	return appsv1.DeploymentCondition{}
}

// A clock that runs a little fast is not set: a deadline passes by it.
func TestAClockThatIsOffByLittleIsNotSet(t *testing.T) {
	w := newWorld(t)
	w.deployment(1)
	w.settle(w.reconcileDeployment)
	for range 6 {
		w.now, w.clockSet = w.now.Add(101*time.Second), w.clockSet+time.Second
		w.settle(w.reconcileDeployment)
	}
	if reason := w.progressing().Reason; reason != rollout.ProgressDeadlineExceeded {
		t.Errorf("it says %s", reason)
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
