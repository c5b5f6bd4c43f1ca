package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
)

// ownWrites remembers, for each key, what was written for it and has not been
// seen by the informers yet. It takes the place of upstream's expectations:
// nothing is counted and nothing expires.
type ownWrites struct {
	requeue func(key)
	mu      sync.Mutex
	waiting map[key]*outstanding
}

// outstanding is what the informers have to reach.
type outstanding struct {
	versions map[cache.SharedIndexInformer]string
	deletes  []deleted
}

// deleted is an object whose deletion was asked for. Most deletions return no
// resourceVersion: it is seen when the object is gone or marked.
type deleted struct {
	informer cache.SharedIndexInformer
	key      key
	uid      types.UID
}

func newOwnWrites(requeue func(key)) *ownWrites {
	return &ownWrites{requeue: requeue, waiting: map[key]*outstanding{}}
}

// watch makes every event of informer a chance for waiting keys. Handlers run
// after the informer's store has been changed.
func (o *ownWrites) watch(informer cache.SharedIndexInformer) error {
	look := func() { o.look() }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { look() },
		UpdateFunc: func(any, any) { look() },
		DeleteFunc: func(any) { look() },
	})
	return err
}

// look requeues the keys that have nothing to wait for any more.
func (o *ownWrites) look() {
	o.mu.Lock()
	var ready []key
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

// reached tells whether k may be reconciled now. If not, it is requeued when
// it may.
func (o *ownWrites) reached(k key) bool {
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

// wrote notes that obj was written for k.
func (o *ownWrites) wrote(k key, informer cache.SharedIndexInformer, obj metav1.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	versions := o.of(k).versions
	version := obj.GetResourceVersion()
	if before, ok := versions[informer]; ok {
		if order, err := resourceversion.CompareResourceVersion(before, version); err == nil && order >= 0 {
			return
		}
	}
	versions[informer] = version
}

// deleted notes that the deletion of an object was asked for on behalf of k.
func (o *ownWrites) deleted(k key, informer cache.SharedIndexInformer, object key, uid types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	pending := o.of(k)
	pending.deletes = append(pending.deletes, deleted{informer, object, uid})
}

func (o *ownWrites) of(k key) *outstanding {
	pending, ok := o.waiting[k]
	if !ok {
		pending = &outstanding{versions: map[cache.SharedIndexInformer]string{}}
		o.waiting[k] = pending
	}
	return pending
}

func (p *outstanding) reached() bool {
	for informer, version := range p.versions {
		order, err := resourceversion.CompareResourceVersion(informer.GetStore().LastStoreSyncResourceVersion(), version)
		if err != nil || order < 0 {
			return false
		}
		delete(p.versions, informer)
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
	item, exists, err := d.informer.GetStore().GetByKey(d.key.String())
	if err != nil || !exists {
		return err == nil
	}
	object, err := meta.Accessor(item)
	return err == nil && (object.GetUID() != d.uid || object.GetDeletionTimestamp() != nil)
}
