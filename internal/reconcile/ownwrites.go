package reconcile

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// OwnWrites remembers, for each key, what was written for it and has not been
// seen by the caches yet. It takes the place of upstream's expectations:
// nothing is counted and nothing expires.
type OwnWrites struct {
	requeue func(Key)
	mu      sync.Mutex
	waiting map[Key]*outstanding
}

// outstanding is what the stores have to reach.
type outstanding struct {
	versions map[Store]string
	deletes  []deleted
}

// deleted is an object whose deletion was asked for. Most deletions return no
// resourceVersion: it is seen when the object is gone or marked.
type deleted struct {
	store Store
	key   Key
	uid   types.UID
}

// NewOwnWrites makes an empty memory. requeue is called with the keys whose
// wait is over.
func NewOwnWrites(requeue func(Key)) *OwnWrites {
	return &OwnWrites{requeue: requeue, waiting: map[Key]*outstanding{}}
}

// Look requeues the keys that have nothing to wait for any more. It is to be
// called after every change of a store.
func (o *OwnWrites) Look() {
	o.mu.Lock()
	var ready []Key
	for k, pending := range o.waiting {
		if pending.reached() {
			delete(o.waiting, k)
			ready = append(ready, k)
		}
	}
	o.mu.Unlock()
	for _, k := range ready {
		o.requeue(k)
	}
}

// Reached tells whether k may be reconciled now. If not, it is requeued when
// it may.
func (o *OwnWrites) Reached(k Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	pending, waits := o.waiting[k]
	if !waits {
		return true
	}
	if !pending.reached() {
		return false
	}
	delete(o.waiting, k)
	return true
}

// Wrote notes that obj was written for k.
func (o *OwnWrites) Wrote(k Key, store Store, obj metav1.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	versions := o.of(k).versions
	version := obj.GetResourceVersion()
	if before, ok := versions[store]; ok {
		if order, err := resourceversion.CompareResourceVersion(before, version); err == nil && order >= 0 {
			return
		}
	}
	versions[store] = version
}

// Deleted notes that the deletion of an object was asked for on behalf of k.
func (o *OwnWrites) Deleted(k Key, store Store, object Key, uid types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	pending := o.of(k)
	pending.deletes = append(pending.deletes, deleted{store, object, uid})
}

func (o *OwnWrites) of(k Key) *outstanding {
	pending, ok := o.waiting[k]
	if !ok {
		pending = &outstanding{versions: map[Store]string{}}
		o.waiting[k] = pending
	}
	return pending
}

func (p *outstanding) reached() bool {
	for store, version := range p.versions {
		order, err := resourceversion.CompareResourceVersion(store.LastStoreSyncResourceVersion(), version)
		if err != nil || order < 0 {
			return false
		}
		delete(p.versions, store)
	}
	for len(p.deletes) > 0 {
		if !p.deletes[0].seen() {
			return false
		}
		p.deletes = p.deletes[1:]
	}
	return true
}

func (d deleted) seen() bool {
	item, exists, err := d.store.GetByKey(d.key.String())
	if err != nil || !exists {
		return err == nil
	}
	object, err := meta.Accessor(item)
	return err == nil && (object.GetUID() != d.uid || object.GetDeletionTimestamp() != nil)
}

// Waits tells whether k has something to wait for.
func (o *OwnWrites) Waits(k Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	pending, waits := o.waiting[k]
	return waits && !pending.reached()
}

// Clone is a copy that looks at other stores, for a copy of a simulated world.
func (o *OwnWrites) Clone(requeue func(Key), store func(Store) Store) *OwnWrites {
	o.mu.Lock()
	defer o.mu.Unlock()
	clone := NewOwnWrites(requeue)
	for k, pending := range o.waiting {
		copied := clone.of(k)
		for of, version := range pending.versions {
			copied.versions[store(of)] = version
		}
		for _, d := range pending.deletes {
			copied.deletes = append(copied.deletes, deleted{store(d.store), d.key, d.uid})
		}
	}
	return clone
}
