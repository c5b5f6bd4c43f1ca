package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"coxswain.dev/cox/internal/reconcile"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	web   = reconcile.Key{Namespace: "default", Name: "web"}
	// errBroken is no answer of the API server's: the write may have happened.
	errBroken = errors.New("the connection broke")
)

// world is an API with both controllers on it, one request after another.
type world struct {
	testing.TB
	*server
	deployments *api[*appsv1.Deployment]
	sets        *api[*appsv1.ReplicaSet]
	pods        *api[*corev1.Pod]
	now         time.Time
	// clockSet is by how much the clock was set forward.
	clockSet time.Duration
	events   []string
	requeued []reconcile.Key
	own      *reconcile.OwnWrites
	names    int

	setController        *reconcile.Sets
	deploymentController *reconcile.Deployments
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, server: &server{}, now: start}
	w.deployments, w.sets, w.pods = newAPI[*appsv1.Deployment](w.server, "Deployment"), newAPI[*appsv1.ReplicaSet](w.server, "ReplicaSet"), newAPI[*corev1.Pod](w.server, "Pod")
	w.own = reconcile.NewOwnWrites(func(k reconcile.Key) { w.requeued = append(w.requeued, k) })
	w.setController = &reconcile.Sets{
		Kind: reconcile.ReplicaSets(func(string) reconcile.Client[*appsv1.ReplicaSet] { return w.sets }), Sets: w.sets.cache, Pods: w.pods.cache,
		PodClient: func(string) reconcile.Client[*corev1.Pod] { return w.pods },
		Events:    w, Own: w.own, Now: func() time.Time { return w.now },
		RandomName: func() string { w.names++; return fmt.Sprintf("%05d", w.names) },
		Together: func(count int, f func(int)) {
			for i := range count {
				f(i)
			}
		},
	}
	w.startDeployments()
	return w
}

// startDeployments is a new process of the Deployment controller, which knows
// nothing of the one before.
func (w *world) startDeployments() {
	w.deploymentController = &reconcile.Deployments{
		Deployments: w.deployments.cache, Sets: w.sets.cache, Pods: w.pods.cache,
		DeploymentClient: func(string) reconcile.Client[*appsv1.Deployment] { return w.deployments },
		SetClient:        func(string) reconcile.Client[*appsv1.ReplicaSet] { return w.sets },
		Events:           w, Own: w.own, Now: func() time.Time { return w.now },
		Steady: func() time.Duration { return w.now.Sub(start) - w.clockSet },
	}
}

func (w *world) Event(_ runtime.Object, kind, reason, message string) {
	w.events = append(w.events, kind+" "+reason+" "+message)
}

func (w *world) Eventf(about runtime.Object, kind, reason, format string, args ...any) {
	w.Event(about, kind, reason, fmt.Sprintf(format, args...))
}

func (w *world) show() { w.deployments.show(); w.sets.show(); w.pods.show() }

// failing lets requests that begin with a prefix fail.
func (w *world) failing(prefix string, err error, after bool) {
	w.fail = func(request string) (error, bool) {
		if strings.HasPrefix(request, prefix) {
			return err, after
		}
		return nil, false
	}
}

// reconcileSet is one look at the ReplicaSet web.
func (w *world) reconcileSet() (time.Time, error) {
	return w.setController.Reconcile(w.Context(), web)
}

func (w *world) reconcileDeployment() (time.Time, error) {
	return w.deploymentController.Reconcile(w.Context(), web)
}

// settle shows and reconciles until nothing is asked for any more.
func (w *world) settle(reconcile func() (time.Time, error)) {
	w.Helper()
	for range 20 {
		w.show()
		w.asked()
		if _, err := reconcile(); err != nil {
			w.Fatal(err)
		}
		if len(w.requests) == 0 {
			return
		}
	}
	w.Fatalf("it does not settle: %q", w.requests)
}

// fails expects an error of a reconciliation that says so.
func (w *world) fails(err error, says string) {
	w.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		w.Fatalf("the error is %v, and does not say %q", err, says)
	}
}

func (w *world) succeeds(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// asks expects these requests since the last time.
func (w *world) asks(want ...string) {
	w.Helper()
	if got := w.asked(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.Fatalf("the requests are\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var appWeb = map[string]string{"app": "web"}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: appWeb},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}},
	}
}

// replicaSet puts the ReplicaSet web.
func (w *world) replicaSet(replicas int32) *appsv1.ReplicaSet {
	return w.sets.put(&appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: appWeb, Generation: 1},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: appWeb}, Template: template("v1")},
	})
}

// deployment puts the Deployment web.
func (w *world) deployment(replicas int32, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	none, limit, deadline := int32(0), int32(10), int32(600)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: appWeb, Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: appWeb}, Template: template("v1"),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, MinReadySeconds: none,
			RevisionHistoryLimit: &limit, ProgressDeadlineSeconds: &deadline,
		},
	}
	for _, f := range change {
		f(d)
	}
	return w.deployments.put(d)
}

// pod puts a running, ready Pod.
func (w *world) pod(name string, owner *metav1.OwnerReference, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: appWeb, CreationTimestamp: metav1.NewTime(start.Add(-time.Hour))},
		Spec:       corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(start)},
		}},
	}
	if owner != nil {
		pod.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	for _, f := range change {
		f(pod)
	}
	return w.pods.put(pod)
}

func ownedBySet(set *appsv1.ReplicaSet) *metav1.OwnerReference {
	return metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
}

func ownedByDeployment(d *appsv1.Deployment) *metav1.OwnerReference {
	return metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))
}

// lookAt reconciles the one key that there is to be.
func (w *world) lookAt(keys []reconcile.Key, look func(context.Context, reconcile.Key) (time.Time, error)) {
	if len(keys) != 1 {
		w.Fatalf("%d keys", len(keys))
	}
	if _, err := look(w.Context(), keys[0]); err != nil {
		w.Fatal(err)
	}
}
