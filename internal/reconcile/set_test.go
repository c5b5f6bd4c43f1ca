package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var podResource = schema.GroupResource{Resource: "pods"}

func TestASetMakesItsPodsOnceAndWaitsForItsCache(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(3)
	w.show()
	_, err := w.reconcileSet()
	w.succeeds(err)
	w.asks("create Pod web-00001", "create Pod web-00002", "create Pod web-00003", "status ReplicaSet web")
	for range 3 {
		_, err := w.reconcileSet()
		w.succeeds(err)
		w.asks()
	}
	w.sets.show() // its own status; the Pods are not there yet
	_, err = w.reconcileSet()
	w.succeeds(err)
	w.asks()
	w.pods.show()
	if w.own.Look(); len(w.requeued) != 1 {
		t.Errorf("requeued %v", w.requeued)
	}
	w.settle(w.reconcileSet)
	if status := w.sets.objects["web"].Status; status.Replicas != 3 || len(w.pods.objects) != 3 {
		t.Errorf("%d Pods, status %+v", len(w.pods.objects), status)
	}
	if want := "Normal SuccessfulCreate Created pod: web-00001"; len(w.events) != 3 || w.events[0] != want {
		t.Errorf("events %q", w.events)
	}
}

// A creation without an answer is looked up by the name that was chosen.
func TestACreationWithoutAnAnswerIsLookedUp(t *testing.T) {
	for name, test := range map[string]struct {
		err      error
		happened bool
	}{
		"broken, done":         {errBroken, true},
		"broken, not done":     {errBroken, false},
		"timed out, done":      {apierrors.NewTimeoutError("slow", 1), true},
		"timed out, not done":  {apierrors.NewTimeoutError("slow", 1), false},
		"no server, done":      {apierrors.NewServerTimeout(podResource, "create", 1), true},
		"internal error, done": {apierrors.NewInternalError(errBroken), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.replicaSet(1)
			w.show()
			w.failing("create Pod", test.err, test.happened)
			_, err := w.reconcileSet()
			if asked := w.asked(); !slices.Equal(asked[:2], []string{"create Pod web-00001", "get Pod web-00001"}) {
				t.Fatalf("the requests are %q", asked)
			}
			w.fail = nil
			if test.happened {
				w.succeeds(err)
			} else if err == nil {
				t.Fatal("there is no Pod, and nothing makes it try again (kubernetes/kubernetes#67662)")
			}
			w.settle(w.reconcileSet)
			if len(w.pods.objects) != 1 {
				t.Errorf("there are %d Pods", len(w.pods.objects))
			}
		})
	}
}

// What an answer says is not looked up: it did not happen.
func TestACreationThatWasRefusedIsNotLookedUp(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(500)
	w.show()
	w.failing("create Pod", apierrors.NewForbidden(podResource, "web", errors.New("exceeded quota: q")), false)
	_, err := w.reconcileSet()
	w.fails(err, "exceeded quota")
	w.asks("create Pod web-00001", "status ReplicaSet web")
	if want := "Warning FailedCreate Error creating: " + err.Error(); !slices.Equal(w.events, []string{want}) {
		t.Errorf("events %q", w.events)
	}
	condition := w.sets.objects["web"].Status.Conditions[0]
	if condition.Reason != "FailedCreate" || condition.Message != err.Error() || !condition.LastTransitionTime.Time.Equal(start) {
		t.Errorf("the condition is %+v", condition)
	}
	if got := w.setController.Failed("default"); len(got) != 1 || got[0] != web {
		t.Errorf("failed: %v", got)
	}
	if got := w.setController.Failed("elsewhere"); len(got) != 0 {
		t.Errorf("failed elsewhere: %v", got)
	}
	w.fail = nil
	w.settle(w.reconcileSet)
	if set := w.sets.objects["web"]; len(set.Status.Conditions) != 0 || set.Status.Replicas != 500 || len(w.setController.Failed("default")) != 0 {
		t.Errorf("after it went well: %+v, failed %v", set.Status, w.setController.Failed("default"))
	}
}

func TestAFailureIsForgottenWithItsSet(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(1)
	w.show()
	w.failing("create Pod", apierrors.NewForbidden(podResource, "web", errors.New("no")), false)
	_, err := w.reconcileSet()
	w.fails(err, "no")
	w.sets.remove("web")
	w.show()
	_, err = w.reconcileSet()
	w.succeeds(err)
	if got := w.setController.Failed("default"); len(got) != 0 {
		t.Errorf("failed: %v", got)
	}
}

// Creations begin with one, and double as long as all goes well.
func TestCreationsAreBoundedWhenPodsAreRejected(t *testing.T) {
	for allowed, want := range map[int]int{0: 1, 1: 3, 2: 3, 3: 7, 63: 63 + 32, 100: 127} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			w := newWorld(t)
			w.replicaSet(500)
			w.show()
			w.fail = func(request string) (error, bool) {
				if strings.HasPrefix(request, "create") && len(w.pods.objects) >= allowed {
					return apierrors.NewForbidden(podResource, "", errors.New("enough")), false
				}
				return nil, false
			}
			_, err := w.reconcileSet()
			w.fails(err, "enough")
			if got := count(w.asked(), "create Pod"); got != want {
				t.Errorf("%d creations, want %d", got, want)
			}
		})
	}
}

func TestASetOfANamespaceThatGoesIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(2)
	w.show()
	refused := apierrors.NewForbidden(podResource, "web", errors.New("terminating"))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	w.failing("create Pod", refused, false)
	_, err := w.reconcileSet()
	w.succeeds(err)
	if len(w.events) > 0 || len(w.setController.Failed("default")) > 0 {
		t.Errorf("events %q", w.events)
	}
}

func TestADeletionNamesItsPodAndIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	set := w.replicaSet(0)
	w.pod("p", ownedBySet(set), func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/stay"} })
	w.show()
	_, err := w.reconcileSet()
	w.succeeds(err)
	w.asks("delete Pod p", "status ReplicaSet web")
	w.sets.show()
	w.pods.cache.version = "1000" // the deletion itself is what is waited for
	_, err = w.reconcileSet()
	w.succeeds(err)
	w.asks()
	w.settle(w.reconcileSet) // marked is enough
	if status := w.sets.objects["web"].Status; status.Replicas != 0 || *status.TerminatingReplicas != 1 {
		t.Errorf("the status is %+v", status)
	}
}

func TestADeletionThatFailsIsAReplicaFailure(t *testing.T) {
	w := newWorld(t)
	w.pod("p", ownedBySet(w.replicaSet(0)))
	w.show()
	w.failing("delete Pod", apierrors.NewForbidden(podResource, "p", errors.New("no")), false)
	_, err := w.reconcileSet()
	w.fails(err, "no")
	if conditions := w.sets.objects["web"].Status.Conditions; len(conditions) != 1 || conditions[0].Reason != "FailedDelete" {
		t.Errorf("the conditions are %+v", conditions)
	}
}

func TestASetAdoptsAsItWasSeen(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(1)
	w.pod("stray", nil, func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"}}
	})
	w.show()
	changed := copied(w.pods.objects["stray"])
	changed.Labels = map[string]string{"app": "theirs now"}
	w.pods.put(changed)
	_, err := w.reconcileSet()
	if !apierrors.IsConflict(err) {
		t.Fatalf("the error is %v", err)
	}
	if conditions := w.sets.objects["web"].Status.Conditions; len(conditions) > 0 || len(w.setController.Failed("default")) > 0 {
		t.Errorf("a conflict is no failure of the set: %+v", conditions)
	}
	w.settle(w.reconcileSet)
	if owners := w.pods.objects["stray"].OwnerReferences; len(owners) != 1 || owners[0].UID != "c" {
		t.Errorf("its owners are %+v", owners)
	}
	if len(w.pods.objects) != 2 {
		t.Errorf("%d Pods", len(w.pods.objects))
	}
}

func TestAdoptionAndReleaseKeepOtherOwners(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(1)
	w.pod("stray", nil, func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"}}
	})
	w.settle(w.reconcileSet)
	pod := copied(w.pods.objects["stray"])
	if len(pod.OwnerReferences) != 2 || !metav1.IsControlledBy(pod, w.sets.objects["web"]) {
		t.Fatalf("after the adoption %+v", pod.OwnerReferences)
	}
	pod.Labels = nil
	w.pods.put(pod)
	w.settle(w.reconcileSet)
	if owners := w.pods.objects["stray"].OwnerReferences; len(owners) != 1 || owners[0].UID != "c" {
		t.Errorf("after the release %+v", owners)
	}
}

// The cache shows a set that is as it was: what is read live may not adopt.
func TestASetThatIsGoneOrGoingAdoptsNothing(t *testing.T) {
	for says, change := range map[string]func(w *world){
		"another has its name": func(w *world) {
			w.sets.remove("web")
			w.replicaSet(1)
			w.sets.objects["web"].UID = "another"
		},
		"it is being deleted": func(w *world) {
			set := copied(w.sets.objects["web"])
			set.DeletionTimestamp = &metav1.Time{Time: start}
			w.sets.put(set)
		},
		"not found": func(w *world) { w.sets.remove("web") },
	} {
		t.Run(says, func(t *testing.T) {
			w := newWorld(t)
			w.replicaSet(1)
			w.pod("stray", nil)
			w.show()
			change(w)
			_, err := w.reconcileSet()
			w.fails(err, says)
			w.fails(err, "not adopting Pods")
			w.asks("get ReplicaSet web")
		})
	}
}

// TestAPodThatHasGoneMeanwhileIsNotAdopted: nor does one go that was too much
// only because the other was counted.
func TestAPodThatHasGoneMeanwhileIsNotAdopted(t *testing.T) {
	w := newWorld(t)
	set := w.replicaSet(1)
	w.pod("own", ownedBySet(set))
	w.pod("stray", nil)
	w.show()
	w.pods.remove("stray")
	_, err := w.reconcileSet()
	w.fails(err, "not found")
	w.settle(w.reconcileSet)
	if own := w.pods.objects["own"]; own == nil || own.DeletionTimestamp != nil || len(w.pods.objects) != 1 {
		t.Errorf("the Pods are %v", w.pods.objects)
	}
}

func TestASetWakesWhenAPodBecomesAvailable(t *testing.T) {
	w := newWorld(t)
	set := w.replicaSet(1)
	set.Spec.MinReadySeconds = 30
	set = w.sets.put(set)
	w.pod("p", ownedBySet(set))
	w.show()
	wakeAt, err := w.reconcileSet()
	w.succeeds(err)
	if want := start.Add(30 * time.Second); !wakeAt.Equal(want) {
		t.Fatalf("it wakes at %v, not %v", wakeAt, want)
	}
	w.now = wakeAt
	w.settle(w.reconcileSet)
	if status := w.sets.objects["web"].Status; status.AvailableReplicas != 1 {
		t.Errorf("then the status is %+v", status)
	}
}

func TestThePodsThatOtherSetsOfItsOwnerHaveCountForTheSpread(t *testing.T) {
	w := newWorld(t)
	d := w.deployment(1)
	set := w.replicaSet(1)
	set.OwnerReferences = []metav1.OwnerReference{*ownedByDeployment(d)}
	set = w.sets.put(set)
	sibling := copied(set)
	sibling.Name, sibling.UID = "sibling", ""
	sibling = w.sets.put(sibling)
	on := func(node string) func(*corev1.Pod) { return func(pod *corev1.Pod) { pod.Spec.NodeName = node } }
	w.pod("a", ownedBySet(set), on("crowded"))
	w.pod("b", ownedBySet(set), on("free"))
	w.pod("c", ownedBySet(sibling), on("crowded"))
	w.show()
	_, err := w.reconcileSet()
	w.succeeds(err)
	w.asks("delete Pod a", "status ReplicaSet web")
}

func TestWhoseAPodIs(t *testing.T) {
	w := newWorld(t)
	set := w.replicaSet(1)
	w.show()
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		want int
	}{
		"its set's":             {w.pod("a", ownedBySet(set)), 1},
		"another kind's":        {w.pod("b", &metav1.OwnerReference{Kind: "Job", Name: "web", Controller: new(true)}), 0},
		"nobody's, matching":    {w.pod("c", nil), 1},
		"nobody's, other":       {w.pod("d", nil, func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": "db"} }), 0},
		"nobody's, no labels":   {w.pod("e", nil, func(pod *corev1.Pod) { pod.Labels = nil }), 0},
		"of another namespace":  {w.pod("f", nil, func(pod *corev1.Pod) { pod.Namespace = "elsewhere" }), 0},
		"a set's that is to be": {w.pod("g", ownedBySet(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "later"}})), 1},
	} {
		if got := w.setController.Owners(test.pod); len(got) != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAStatusThatNobodyReadsIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.replicaSet(0)
	w.show()
	w.sets.remove("web")
	_, err := w.reconcileSet()
	w.succeeds(err)
	w.asks("status ReplicaSet web")
	w.replicaSet(0)
	w.show()
	w.failing("status", errBroken, false)
	_, err = w.reconcileSet()
	w.fails(err, "broke")
}
