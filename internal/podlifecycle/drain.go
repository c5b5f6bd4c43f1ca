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

// drainBound says what makes no sense, and does not take it.
func (v *view) drainBound() time.Duration {
	bound, wrong := DrainBound(v.Pod, v.Services)
	for _, text := range wrong {
		v.event("", corev1.EventTypeWarning, "InvalidAnnotation", text)
	}
	return bound
}

// DrainBound is how long a Pod may wait for its connections: what it says
// itself, else the longest that one of the Services says which lead to it. wrong
// are annotations that make no sense, in words; maxDrain is in their place.
func DrainBound(pod *corev1.Pod, services []Service) (bound time.Duration, wrong []string) {
	read := func(of, text string) time.Duration {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s%s: %q is not a number of seconds (0 or more): taking %d", of, DrainAnnotation, text, maxDrain/time.Second))
			return maxDrain
		}
		return time.Duration(seconds) * time.Second
	}
	if text, given := pod.Annotations[DrainAnnotation]; given {
		return read("", text), wrong
	}
	given := false
	for _, service := range services {
		if text := service.Drain; text != "" {
			bound, given = max(bound, read("Service "+service.Name+": ", text)), true
		}
	}
	if !given {
		bound = maxDrain
	}
	return bound, wrong
}
