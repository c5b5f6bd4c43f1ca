package sim

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/reconcile"
)

// namespace is where everything is.
const namespace = "default"

// object is a stored object. What is stored is never changed, only replaced:
// caches and histories share it.
type object interface {
	comparable
	metav1.Object
}

// change is one entry of a kind's history.
type change[O object] struct {
	object O
	gone   bool
	// version is the resourceVersion at which it happened.
	version string
}

// table is what is stored of one kind.
type table[O object] struct {
	// live are the objects that exist, in the order of their creation.
	live []O
	// history is what has changed, but for the first forgotten changes.
	history   []change[O]
	forgotten int
}

// end is the place in history of the next change.
func (t *table[O]) end() int { return t.forgotten + len(t.history) }

// at is the change at a place in history.
func (t *table[O]) at(place int) change[O] { return t.history[place-t.forgotten] }

// forget drops the history before a place.
func (t *table[O]) forget(place int) {
	if place > t.forgotten {
		t.history, t.forgotten = t.history[place-t.forgotten:], place
	}
}

func (t *table[O]) find(name string) (found O, exists bool) {
	for _, o := range t.live {
		if o.GetName() == name {
			return o, true
		}
	}
	return found, false
}

// store adds or replaces an object.
func (t *table[O]) store(o O) {
	t.history = append(t.history, change[O]{o, false, o.GetResourceVersion()})
	t.live = replaced(t.live, o)
}

func (t *table[O]) remove(o O, version string) {
	t.history = append(t.history, change[O]{o, true, version})
	t.live = without(t.live, o.GetName())
}

func replaced[O object](objects []O, o O) []O {
	for i := range objects {
		if objects[i].GetName() == o.GetName() {
			objects[i] = o
			return objects
		}
	}
	return append(objects, o)
}

func without[O object](objects []O, name string) []O {
	return slices.DeleteFunc(objects, func(o O) bool { return o.GetName() == name })
}

// cache is an informer's: what was stored at some time, never going back.
type cache[O object] struct {
	of    *table[O]
	items []O
	// seen is how much of the history it has.
	seen int
}

func (c *cache[O]) behind() int { return c.of.end() - c.seen }

// forget drops the history that nobody asks for any more: the cache needs its
// last change, and what comes after.
func (c *cache[O]) forget() { c.of.forget(c.seen - 1) }

// next takes one entry of the history over. It returns the object before, if
// there was one, and after.
func (c *cache[O]) next() (before, after O) {
	event := c.of.at(c.seen)
	c.seen++
	before, _ = c.get(event.object.GetName())
	if event.gone {
		c.items = without(c.items, event.object.GetName())
	} else {
		c.items = replaced(c.items, event.object)
	}
	return before, event.object
}

func (c *cache[O]) get(name string) (found O, exists bool) {
	for _, o := range c.items {
		if o.GetName() == name {
			return o, true
		}
	}
	return found, false
}

// GetByKey is part of reconcile.Store.
func (c *cache[O]) GetByKey(key string) (any, bool, error) {
	o, exists := c.get(strings.TrimPrefix(key, namespace+"/"))
	return o, exists, nil
}

// ByIndex is part of reconcile.Store.
func (c *cache[O]) ByIndex(index, value string) ([]any, error) {
	var found []any
	for _, o := range c.items {
		if index == reconcile.ByNamespace || controllerOf(o) == value {
			found = append(found, o)
		}
	}
	return found, nil
}

// controllerOf is the value of the index ByController.
func controllerOf(o metav1.Object) string {
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return string(owner.UID)
	}
	return orphans
}

var orphans = reconcile.OrphansIn(namespace)

// LastStoreSyncResourceVersion is part of reconcile.Store.
func (c *cache[O]) LastStoreSyncResourceVersion() string {
	if c.seen == 0 {
		return "1"
	}
	return c.of.at(c.seen - 1).version
}
