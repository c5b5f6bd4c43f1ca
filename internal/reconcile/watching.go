package reconcile

import (
	"sync"
	"time"
)

// watching knows since when nothing was missed: since the first look of this
// process, or since the clock was set. The times in the API tell nothing of how
// long a process was away, nor of a machine that was asleep.
type watching struct {
	mu     sync.Mutex
	begun  bool
	from   time.Time
	offset time.Duration // of the clock from the steady time, at the last look
}

// clockIsSet is by how much a clock changes at least when it is set, and does
// not only run a little faster or slower.
const clockIsSet = 10 * time.Second

// since is from when on it was watched, by the clock as it is now.
func (w *watching) since(now time.Time, steady time.Duration) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	offset := time.Duration(now.UnixNano()) - steady
	if !w.begun || (offset-w.offset).Abs() >= clockIsSet {
		w.begun, w.from = true, now
	}
	w.offset = offset
	return w.from
}
