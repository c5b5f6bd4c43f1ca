package podlifecycle

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// DrainAnnotation of a Pod, or of a Service that leads to it, bounds for how
// many seconds the Pod waits for its connections when it is to stop; 0 does not
// wait. The Pod's own counts more than a Service's, of those the longest.
const DrainAnnotation = "coxswain.dev/drain-seconds"

// DrainGraceAnnotation is written by the API when the Pod is deleted: how many
// seconds of its deletionGracePeriodSeconds are for its connections. The rest
// is for its containers.
const DrainGraceAnnotation = "coxswain.dev/drain-grace-seconds"

// maxDrain is the bound where nobody says another.
const maxDrain = 10 * time.Second

// drainGrace is the part of the Pod's grace period that is for its
// connections, in seconds. A period that was shortened later is for both.
func (v *view) drainGrace() int64 {
	seconds, err := strconv.ParseUint(v.Pod.Annotations[DrainGraceAnnotation], 10, 31)
	if err != nil || v.Pod.DeletionGracePeriodSeconds == nil {
		return 0
	}
	return min(int64(seconds), *v.Pod.DeletionGracePeriodSeconds/2)
}

// drain is how long connections may hold the stop up: never longer than the
// containers get to end, and not at all in a stop that is forced or that no
// deletion asked for.
func (v *view) drain() time.Duration {
	total := v.Pod.DeletionGracePeriodSeconds
	if v.Pod.DeletionTimestamp == nil || v.Gone || total == nil {
		return 0
	}
	return min(v.drainBound(), time.Duration(*total-v.drainGrace())*time.Second)
}

func (v *view) drainBound() time.Duration {
	if text, given := v.Pod.Annotations[DrainAnnotation]; given {
		return v.seconds("", text)
	}
	longest, given := time.Duration(0), false
	for _, service := range v.Services {
		if text := service.Drain; text != "" {
			longest, given = max(longest, v.seconds("Service "+service.Name+": ", text)), true
		}
	}
	if given {
		return longest
	}
	return maxDrain
}

// seconds reads a bound; one that makes no sense is said, and not taken.
func (v *view) seconds(of, text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		v.event("", corev1.EventTypeWarning, "InvalidAnnotation",
			fmt.Sprintf("%s%s: %q is not a number of seconds (0 or more): taking %d", of, DrainAnnotation, text, maxDrain/time.Second))
		return maxDrain
	}
	return time.Duration(seconds) * time.Second
}
