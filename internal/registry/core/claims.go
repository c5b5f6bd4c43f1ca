package core

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// claimGrace is how long a claim may be without a stored Service: the longest
// that a request takes.
const claimGrace = time.Minute

// claims remember which Service has what. What is stored decides in the end:
// see repair.
type claims[K comparable] map[K]claim

type claim struct {
	owner types.UID
	// since is when it was claimed; zero if it is on its way to be given up.
	since time.Time
}

// take claims key for owner, unless somebody else has it.
func (c claims[K]) take(key K, owner types.UID, now time.Time) bool {
	if held, taken := c[key]; taken && held.owner != owner {
		return false
	}
	c[key] = claim{owner, now}
	return true
}

// release gives key back if owner has it.
func (c claims[K]) release(key K, owner types.UID) {
	if c[key].owner == owner {
		delete(c, key)
	}
}

// giveUp lets the next repair decide: an update that gives something up may
// still fail to be stored.
func (c claims[K]) giveUp(key K, owner types.UID) {
	if c[key].owner == owner {
		c[key] = claim{owner: owner}
	}
}

// repair drops what no stored Service has, but for what may be about to be
// stored, and adds what some stored Service has.
func (c claims[K]) repair(stored map[K]types.UID, now time.Time) {
	for key, held := range c {
		if _, there := stored[key]; !there && now.Sub(held.since) > claimGrace {
			delete(c, key)
		}
	}
	for key, owner := range stored {
		if _, known := c[key]; !known {
			c[key] = claim{owner: owner}
		}
	}
}
