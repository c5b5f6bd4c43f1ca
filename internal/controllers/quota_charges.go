package controllers

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/cache"
)

// settleTime is how long after a charge its object may be on its way to the
// store and to the informers. Until then a quota is not lowered: the object
// would be missing from the count, and another could be let in for it.
const settleTime = 500 * time.Millisecond

// charges remembers when admission last charged a quota.
type charges struct {
	mu sync.Mutex
	// seen is when a charge was seen, ours is the version of our own last
	// write, which is none.
	seen map[key]time.Time
	ours map[key]string
}

func newCharges() *charges { return &charges{seen: map[key]time.Time{}, ours: map[key]string{}} }

// watch notes every change of a quota's use that others made.
func (c *charges) watch(informer cache.SharedIndexInformer) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, obj any) {
		before, after := old.(*corev1.ResourceQuota), obj.(*corev1.ResourceQuota)
		if equality.Semantic.DeepEqual(before.Status.Used, after.Status.Used) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if k := keyOf(after); c.ours[k] != after.ResourceVersion {
			c.seen[k] = now()
		}
	}})
	return err
}

// own notes our own write. If its event was quicker, the next lowering waits
// in vain for a moment.
func (c *charges) own(k key, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ours[k] = version
}

// settled is when all that was charged can be counted on.
func (c *charges) settled(k key) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen, charged := c.seen[k]; charged {
		return seen.Add(settleTime)
	}
	return time.Time{}
}

func (c *charges) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, k)
	delete(c.ours, k)
}
