package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// world is an API with one cache for each kind, which hears only of what it is
// told to (sync), and controllers on it.
type world struct {
	version     int
	deployments *fakeAPI[*appsv1.Deployment]
	sets        *fakeAPI[*appsv1.ReplicaSet]
	pods        *fakeAPI[*corev1.Pod]
	deployment  *Deployments
	set         *Sets
	// woken are the keys that were requeued.
	woken []Key
	names int
}

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{}
	w.deployments = newAPI(w, "deployments", func(o *appsv1.Deployment) *appsv1.Deployment { return o.DeepCopy() })
	w.sets = newAPI(w, "replicasets", func(o *appsv1.ReplicaSet) *appsv1.ReplicaSet { return o.DeepCopy() })
	w.pods = newAPI(w, "pods", func(o *corev1.Pod) *corev1.Pod { return o.DeepCopy() })
	own := NewOwnWrites(func(k Key) { w.woken = append(w.woken, k) })
	sets := func(string) Client[*appsv1.ReplicaSet] { return w.sets }
	w.deployment = &Deployments{
		Deployments: w.deployments, Sets: w.sets, Pods: w.pods,
		DeploymentClient: func(string) Client[*appsv1.Deployment] { return w.deployments }, SetClient: sets,
		Events: nobody{}, Own: own, Now: func() time.Time { return now },
	}
	w.set = &Sets{
		Kind: ReplicaSets(sets), Sets: w.sets, Pods: w.pods, PodClient: func(string) Client[*corev1.Pod] { return w.pods },
		Events: nobody{}, Own: own, Now: func() time.Time { return now },
		RandomName: func() string { w.names++; return fmt.Sprintf("%05d", w.names) },
		Together: func(count int, f func(int)) {
			for i := range count {
				f(i)
			}
		},
	}
	return w
}

// nobody reads events.
type nobody struct{}

func (nobody) Event(runtime.Object, string, string, string)          {}
func (nobody) Eventf(runtime.Object, string, string, string, ...any) {}

var app = map[string]string{"app": "web"}

// webDeployment is one that the API has, and its cache.
func (w *world) webDeployment(replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "d", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: app}, RevisionHistoryLimit: new(int32(10)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
			},
		},
	}
	w.deployments.put(d)
	w.deployments.sync()
	return d
}

// webSet is a ReplicaSet of nobody that the API has, and its cache.
func (w *world) webSet(replicas int32) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "rs", Generation: 1, Labels: app},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}},
		},
	}
	w.sets.put(rs)
	w.sets.sync()
	return rs
}

// object is a stored object.
type object interface {
	comparable
	metav1.Object
}

// fakeAPI is the objects of one kind, what goes wrong with requests for them,
// and a cache.
type fakeAPI[O object] struct {
	w      *world
	kind   schema.GroupResource
	copy   func(O) O
	stored map[string]O
	cached map[string]O
	synced string
	// requests are all writes, in order.
	requests []string
	// fail gives a request an error; done tells whether it is carried out all
	// the same.
	fail func(verb string) (err error, done bool)
}

func newAPI[O object](w *world, resource string, copy func(O) O) *fakeAPI[O] {
	return &fakeAPI[O]{w: w, kind: schema.GroupResource{Resource: resource}, copy: copy, stored: map[string]O{}, cached: map[string]O{}, synced: "0"}
}

func (a *fakeAPI[O]) put(o O) O {
	a.w.version++
	o = a.copy(o)
	o.SetResourceVersion(strconv.Itoa(a.w.version))
	if o.GetUID() == "" {
		o.SetUID(types.UID("uid-" + strconv.Itoa(a.w.version)))
	}
	a.stored[o.GetName()] = o
	return o
}

// sync brings the cache up to date.
func (a *fakeAPI[O]) sync() {
	a.cached, a.synced = map[string]O{}, strconv.Itoa(a.w.version)
	for name, o := range a.stored {
		a.cached[name] = o
	}
}

func (a *fakeAPI[O]) LastStoreSyncResourceVersion() string { return a.synced }

func (a *fakeAPI[O]) GetByKey(key string) (any, bool, error) {
	for _, o := range a.cached {
		if KeyOf(o).String() == key {
			return o, true, nil
		}
	}
	return nil, false, nil
}

func (a *fakeAPI[O]) ByIndex(index, value string) ([]any, error) {
	var found []any
	for _, o := range a.cached {
		values, err := IndexController(o)
		if err != nil {
			return nil, err
		}
		if index == ByNamespace && o.GetNamespace() == value || index == ByController && values[0] == value {
			found = append(found, o)
		}
	}
	return found, nil
}

// request carries one out, unless it is to fail.
func (a *fakeAPI[O]) request(verb, name string, carryOut func() (O, error)) (O, error) {
	if verb != "get" {
		a.requests = append(a.requests, verb+" "+name)
	}
	var none O
	var failure error
	if a.fail != nil {
		err, done := a.fail(verb)
		if err != nil && !done {
			return none, err
		}
		failure = err
	}
	o, err := carryOut()
	if failure != nil {
		return none, failure
	}
	return o, err
}

func (a *fakeAPI[O]) find(name string) (O, error) {
	o, exists := a.stored[name]
	if !exists {
		return o, apierrors.NewNotFound(a.kind, name)
	}
	return a.copy(o), nil
}

func (a *fakeAPI[O]) checked(name string, uid types.UID, version string) (O, error) {
	o, err := a.find(name)
	if err == nil && (uid != "" && uid != o.GetUID() || version != "" && version != o.GetResourceVersion()) {
		return o, apierrors.NewConflict(a.kind, name, errors.New("it has been changed"))
	}
	return o, err
}

func (a *fakeAPI[O]) Get(_ context.Context, name string, _ metav1.GetOptions) (O, error) {
	return a.request("get", name, func() (O, error) { return a.find(name) })
}

func (a *fakeAPI[O]) Create(_ context.Context, o O, _ metav1.CreateOptions) (O, error) {
	return a.request("create", o.GetName(), func() (O, error) {
		if _, exists := a.stored[o.GetName()]; exists {
			return o, apierrors.NewAlreadyExists(a.kind, o.GetName())
		}
		return a.put(o), nil
	})
}

func (a *fakeAPI[O]) Update(_ context.Context, o O, _ metav1.UpdateOptions) (O, error) {
	return a.write("update", o)
}

func (a *fakeAPI[O]) UpdateStatus(_ context.Context, o O, _ metav1.UpdateOptions) (O, error) {
	return a.write("status", o)
}

func (a *fakeAPI[O]) write(verb string, o O) (O, error) {
	return a.request(verb, o.GetName(), func() (O, error) {
		if found, err := a.checked(o.GetName(), o.GetUID(), o.GetResourceVersion()); err != nil {
			return found, err
		}
		return a.put(o), nil
	})
}

// Patch knows those of owners.
func (a *fakeAPI[O]) Patch(_ context.Context, name string, _ types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (O, error) {
	return a.request("patch", name, func() (O, error) {
		var patch struct {
			Metadata struct {
				UID             types.UID
				ResourceVersion string
				OwnerReferences []metav1.OwnerReference
			}
		}
		var none O
		if err := json.Unmarshal(data, &patch); err != nil {
			return none, err
		}
		o, err := a.checked(name, patch.Metadata.UID, patch.Metadata.ResourceVersion)
		if err != nil {
			return none, err
		}
		o.SetOwnerReferences(patch.Metadata.OwnerReferences)
		return a.put(o), nil
	})
}

func (a *fakeAPI[O]) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	_, err := a.request("delete", name, func() (O, error) {
		uid, version := types.UID(""), ""
		if p := options.Preconditions; p != nil && p.UID != nil {
			uid = *p.UID
			if p.ResourceVersion != nil {
				version = *p.ResourceVersion
			}
		}
		o, err := a.checked(name, uid, version)
		if err == nil {
			a.w.version++
			delete(a.stored, name)
		}
		return o, err
	})
	return err
}
