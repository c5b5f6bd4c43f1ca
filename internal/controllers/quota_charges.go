package controllers

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// settleTime is how long after a charge its object may be on its way to the
// store and to the informers. Until then a quota is not lowered: the object
// would be missing from the count, and another could be let in for it.
const settleTime = 500 * time.Millisecond

// charges remembers when a quota's use was last seen to be changed by others:
// by admission, which charges for what it lets in.
type charges struct {
	mu   sync.Mutex
	seen map[key]time.Time
	// used is the use that was last seen, or written by us.
	used map[key]corev1.ResourceList
}

func newCharges() *charges {
	return &charges{seen: map[key]time.Time{}, used: map[key]corev1.ResourceList{}}
}

// settled is when all that was charged for up to this state of a quota can be
// counted on. It goes by the state itself: an event may come after it.
func (c *charges) settled(k key, used corev1.ResourceList) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.used[k]; !known || !equality.Semantic.DeepEqual(before, used) {
		c.seen[k], c.used[k] = now(), used
	}
	return c.seen[k].Add(settleTime)
}

// own notes our own write, which charges for nothing.
func (c *charges) own(k key, used corev1.ResourceList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used[k] = used
}

func (c *charges) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, k)
	delete(c.used, k)
}
