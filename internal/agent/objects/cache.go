// Package objects gives the agent the ConfigMaps and Secrets that its Pods
// use, and tells when one of them changes.
//
// Each object is watched alone, for as long as a Pod uses it: the agent of one
// node sees nothing of other nodes' secrets. A read is answered from the watch
// once that has begun, and by the API before.
package objects

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Kind is a kind of object that Pods use.
type Kind string

// The kinds, as the API names their resources.
const (
	ConfigMaps Kind = "configmaps"
	Secrets    Kind = "secrets"
)

// Key names one object.
type Key struct {
	Kind            Kind
	Namespace, Name string
}

// Cache holds the objects that are in use. It is safe for concurrent use.
type Cache struct {
	client kubernetes.Interface

	mu      sync.Mutex
	entries map[Key]*entry
	owners  map[types.UID]map[Key]bool
}

type entry struct {
	store  cache.Store
	synced func() bool
	stop   chan struct{}
	// changed has the function to call for each Pod that uses the object.
	changed map[types.UID]func()
}

// New returns a Cache that reads with the client.
func New(client kubernetes.Interface) *Cache {
	return &Cache{client: client, entries: map[Key]*entry{}, owners: map[types.UID]map[Key]bool{}}
}

// Use says which objects a Pod uses, in place of what was said before;
// changed is called after any of them changes. No keys end the use.
func (c *Cache) Use(pod types.UID, keys []Key, changed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := map[Key]bool{}
	for _, key := range keys {
		wanted[key] = true
		if c.entries[key] == nil {
			c.entries[key] = c.watch(key)
		}
		c.entries[key].changed[pod] = changed
	}
	for key := range c.owners[pod] {
		if wanted[key] {
			continue
		}
		e := c.entries[key]
		delete(e.changed, pod)
		if len(e.changed) == 0 {
			close(e.stop)
			delete(c.entries, key)
		}
	}
	c.owners[pod] = wanted
	if len(wanted) == 0 {
		delete(c.owners, pod)
	}
}

func (c *Cache) watch(key Key) *entry {
	var getter cache.Getter = c.client.CoreV1().RESTClient()
	e := &entry{stop: make(chan struct{}), changed: map[types.UID]func(){}}
	var object runtime.Object = &corev1.ConfigMap{}
	if key.Kind == Secrets {
		object = &corev1.Secret{}
	}
	notify := func() { c.notify(e) }
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(getter, string(key.Kind), key.Namespace, fields.OneTermEqualSelector("metadata.name", key.Name)),
		ObjectType:    object,
		Handler: cache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(_ any, initial bool) {
				if !initial {
					notify()
				}
			},
			UpdateFunc: func(_, _ any) { notify() },
			DeleteFunc: func(any) { notify() },
		},
	})
	e.store, e.synced = store, informer.HasSynced
	go informer.Run(e.stop)
	return e
}

func (c *Cache) notify(e *entry) {
	c.mu.Lock()
	var calls []func()
	for _, changed := range e.changed {
		calls = append(calls, changed)
	}
	c.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// cached answers from the watch; known is false while there is none.
func (c *Cache) cached(key Key) (object any, known bool) {
	c.mu.Lock()
	e := c.entries[key]
	c.mu.Unlock()
	if e == nil || !e.synced() {
		return nil, false
	}
	object, _, _ = e.store.GetByKey(key.Namespace + "/" + key.Name)
	return object, true
}

func notFound(key Key) error {
	return apierrors.NewNotFound(corev1.Resource(string(key.Kind[:len(key.Kind)-1])), key.Name)
}

// ConfigMap reads a ConfigMap; the error is NotFound if there is none.
func (c *Cache) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	key := Key{ConfigMaps, namespace, name}
	if object, known := c.cached(key); known {
		if found, ok := object.(*corev1.ConfigMap); ok {
			return found, nil
		}
	}
	found, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, notFound(key)
	}
	return found, err
}

// Secret reads a Secret; the error is NotFound if there is none.
func (c *Cache) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	key := Key{Secrets, namespace, name}
	if object, known := c.cached(key); known {
		if found, ok := object.(*corev1.Secret); ok {
			return found, nil
		}
	}
	found, err := c.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, notFound(key)
	}
	return found, err
}
