package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/reconcile"
)

type object interface {
	metav1.Object
	runtime.Object
}

// store is a cache that has come as far as it is told to.
type store struct {
	cache.Indexer
	version string
}

func newStore() *store {
	return &store{version: "0", Indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{
		reconcile.ByController: reconcile.IndexController, reconcile.ByNamespace: cache.MetaNamespaceIndexFunc,
	})}
}

func (s *store) LastStoreSyncResourceVersion() string { return s.version }

// server is what the kinds have in common: one sequence of versions, a log of
// the requests, and faults.
type server struct {
	version  int
	requests []string
	// fail is asked before every request, by its line in the log. after lets
	// the request be carried out all the same.
	fail func(request string) (err error, after bool)
}

// api holds the objects of one kind, all in the namespace default.
type api[O object] struct {
	*server
	kind    string
	objects map[string]O
	cache   *store
}

func newAPI[O object](s *server, kind string) *api[O] {
	return &api[O]{server: s, kind: kind, objects: map[string]O{}, cache: newStore()}
}

func copied[O object](o O) O { return o.DeepCopyObject().(O) }

func (a *api[O]) resource() schema.GroupResource {
	return schema.GroupResource{Resource: strings.ToLower(a.kind) + "s"}
}

// put stores an object as users and other controllers do, past log and faults.
func (a *api[O]) put(o O) O {
	a.server.version++
	o = copied(o)
	o.SetResourceVersion(strconv.Itoa(a.server.version))
	if o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	if o.GetUID() == "" {
		o.SetUID(types.UID("uid-" + o.GetName()))
	}
	a.objects[o.GetName()] = o
	return copied(o)
}

func (a *api[O]) remove(name string) {
	a.server.version++
	delete(a.objects, name)
}

// show brings the cache up to date.
func (a *api[O]) show() {
	var items []any
	for _, o := range a.objects {
		items = append(items, copied(o))
	}
	a.cache.version = strconv.Itoa(a.server.version)
	if err := a.cache.Replace(items, a.cache.version); err != nil {
		panic(err)
	}
}

// request logs, fails and carries out.
func (a *api[O]) request(verb, name string, carryOut func() (O, error)) (O, error) {
	line := verb + " " + a.kind + " " + name
	a.requests = append(a.requests, line)
	var none O
	if a.fail == nil {
		return carryOut()
	}
	err, after := a.fail(line)
	if err != nil && !after {
		return none, err
	}
	answer, refused := carryOut()
	if refused != nil || err == nil {
		return answer, refused
	}
	return none, err
}

func (a *api[O]) find(name, uid, version string) (O, error) {
	found, ok := a.objects[name]
	switch {
	case !ok:
		return found, apierrors.NewNotFound(a.resource(), name)
	case uid != "" && string(found.GetUID()) != uid || version != "" && found.GetResourceVersion() != version:
		return found, apierrors.NewConflict(a.resource(), name, fmt.Errorf("want uid %q version %q", uid, version))
	}
	return copied(found), nil
}

func (a *api[O]) Get(_ context.Context, name string, _ metav1.GetOptions) (O, error) {
	return a.request("get", name, func() (O, error) { return a.find(name, "", "") })
}

func (a *api[O]) Create(_ context.Context, sent O, _ metav1.CreateOptions) (O, error) {
	return a.request("create", sent.GetName(), func() (O, error) {
		if _, taken := a.objects[sent.GetName()]; taken {
			return sent, apierrors.NewAlreadyExists(a.resource(), sent.GetName())
		}
		return a.put(sent), nil
	})
}

func (a *api[O]) write(verb string, sent O) (O, error) {
	return a.request(verb, sent.GetName(), func() (O, error) {
		if _, err := a.find(sent.GetName(), string(sent.GetUID()), sent.GetResourceVersion()); err != nil {
			return sent, err
		}
		return a.put(sent), nil
	})
}

func (a *api[O]) Update(_ context.Context, sent O, _ metav1.UpdateOptions) (O, error) {
	// A Deployment's annotations count as its spec does, as in registry/apps.
	if before, stored := a.objects[sent.GetName()]; stored && a.kind == "Deployment" && !maps.Equal(before.GetAnnotations(), sent.GetAnnotations()) {
		sent = copied(sent)
		sent.SetGeneration(before.GetGeneration() + 1)
	}
	return a.write("update", sent)
}

func (a *api[O]) UpdateStatus(_ context.Context, sent O, _ metav1.UpdateOptions) (O, error) {
	return a.write("status", sent)
}

func (a *api[O]) Patch(_ context.Context, name string, _ types.PatchType, patch []byte, _ metav1.PatchOptions, _ ...string) (O, error) {
	return a.request("patch", name, func() (O, error) {
		var preconditions struct {
			Metadata struct{ UID, ResourceVersion string }
		}
		if err := json.Unmarshal(patch, &preconditions); err != nil {
			panic(err)
		}
		after, err := a.find(name, preconditions.Metadata.UID, preconditions.Metadata.ResourceVersion)
		if err != nil {
			return after, err
		}
		before, err := json.Marshal(after)
		if err != nil {
			panic(err)
		}
		changed, err := strategicpatch.StrategicMergePatch(before, patch, after)
		if err != nil {
			panic(err)
		}
		after.SetOwnerReferences(nil)
		if err := json.Unmarshal(changed, after); err != nil {
			panic(err)
		}
		return a.put(after), nil
	})
}

// Delete marks what has a finalizer.
func (a *api[O]) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	_, err := a.request("delete", name, func() (O, error) {
		var uid, version string
		if p := options.Preconditions; p != nil && p.UID != nil {
			uid = string(*p.UID)
		}
		if p := options.Preconditions; p != nil && p.ResourceVersion != nil {
			version = *p.ResourceVersion
		}
		found, err := a.find(name, uid, version)
		if err != nil {
			return found, err
		}
		if len(found.GetFinalizers()) > 0 {
			found.SetDeletionTimestamp(&metav1.Time{Time: start})
			a.put(found)
		} else {
			a.remove(name)
		}
		return found, nil
	})
	return err
}

// asked are the requests since the last call.
func (s *server) asked() []string {
	defer func() { s.requests = nil }()
	return s.requests
}

// count is how many of the requests begin like this.
func count(requests []string, prefix string) int {
	return len(slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.HasPrefix(r, prefix) }))
}
