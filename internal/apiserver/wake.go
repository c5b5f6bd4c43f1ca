package apiserver

import (
	"time"

	"k8s.io/utils/clock"
)

// sharedWakeups is a clock whose timers fire on whole seconds. Every watch
// cache has one that it looks at about once a second, only to find that no
// watcher is due for a bookmark; on whole seconds all of them are one wake-up
// of the process.
type sharedWakeups struct{ clock.RealClock }

// NewTimer implements clock.Clock.
func (c sharedWakeups) NewTimer(d time.Duration) clock.Timer {
	return wholeSecondTimer{c.RealClock.NewTimer(untilWholeSecond(time.Now(), d))}
}

type wholeSecondTimer struct{ clock.Timer }

// Reset implements clock.Timer.
func (t wholeSecondTimer) Reset(d time.Duration) bool {
	return t.Timer.Reset(untilWholeSecond(time.Now(), d))
}

// untilWholeSecond lengthens d so that it ends on a whole second, or leaves it
// as it is if it is short: then somebody is waiting.
func untilWholeSecond(now time.Time, d time.Duration) time.Duration {
	if d < time.Second/2 {
		return d
	}
	end := now.Add(d)
	if whole := end.Truncate(time.Second); !whole.Equal(end) {
		end = whole.Add(time.Second)
	}
	return end.Sub(now)
}
