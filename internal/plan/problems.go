package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// waits are what Pods had to wait for, one for each cause.
type waits []*wait

// wait is one cause, in its last words.
type wait struct {
	Problem
	// active tells that it is in the way now; ended is when it was no more.
	active bool
	ended  time.Time
}

// begin forgets what is in the way, to be noted anew.
func (all waits) begin() {
	for _, w := range all {
		w.active = false
	}
}

func (all *waits) note(p Problem) {
	i := slices.IndexFunc(*all, func(w *wait) bool { return w.Cause == p.Cause })
	if i < 0 {
		*all = append(*all, &wait{})
		i = len(*all) - 1
	}
	*(*all)[i] = wait{Problem: p, active: true}
}

// end notes for which causes the waiting is over.
func (all waits) end(now time.Time) {
	for _, w := range all {
		if !w.active && w.ended.IsZero() {
			w.ended = now
		}
	}
}

// problems are what stops the update, and then what is only to be known.
func (w *world) problems(in Input) []Problem {
	var all []Problem
	ends := w.complete()
	if w.deployment.DeletionTimestamp != nil {
		all = append(all, deletion)
	}
	if !ends && w.newPodsWanted() {
		all = append(all, in.Unready...)
	}
	for _, waited := range w.waits {
		p := waited.Problem
		// What is in the way at the last moment is so for ever.
		p.Stops = !ends && waited.active
		if oldOnesHelp(p.Advice) && w.counts().Old > 0 && w.counts().Total >= replicasOf(w.deployment) {
			p.Advice += ", or set maxSurge: 0 with maxUnavailable: 1 so that old Pods make room first"
		}
		if !waited.active {
			p.Message, p.Advice = fmt.Sprintf("Pods wait until %s: %s", durationText(waited.ended.Sub(in.Now)), p.Message), ""
		}
		all = append(all, p)
	}
	all = append(all, w.ofTime(ends)...)
	if w.decisions > mostDecisions {
		all = append(all, Problem{Stops: true, Cause: "Plan", Message: fmt.Sprintf("it takes more than %d decisions: what comes after them was not foreseen", mostDecisions),
			Advice: "try it with fewer replicas, or a greater maxSurge"})
	}
	all = append(all, in.Notes...)
	slices.SortStableFunc(all, func(a, b Problem) int {
		switch {
		case a.Stops == b.Stops:
			return 0
		case a.Stops:
			return -1
		default:
			return 1
		}
	})
	return all
}

// deletion is the problem of a Deployment that has been told to go.
var deletion = Problem{Stops: true, Cause: "Deletion", Message: "the Deployment is being deleted: its controller replaces no Pod any more",
	Advice: "make it anew when it is gone"}

// ofTime are the problems with deadlines and availability.
func (w *world) ofTime(ends bool) []Problem {
	var all []Problem
	if !w.deadlineAt.IsZero() && ends {
		all = append(all, Problem{Stops: true, Cause: "ProgressDeadline",
			Message: fmt.Sprintf("nothing progresses for progressDeadlineSeconds: %d: the rollout counts as failed from %s on, and is complete later", *w.deployment.Spec.ProgressDeadlineSeconds, durationText(w.deadlineAt.Sub(w.in.Now))),
			Advice:  "raise spec.progressDeadlineSeconds above the time a Pod needs to become available"})
	}
	if count, example := w.notReady(); count > 0 && len(w.in.Unready) == 0 {
		all = append(all, Problem{Cause: "Pod", Stops: !ends, Message: fmt.Sprintf("%s not ready (%s: %s), and taken to stay so",
			plural(count, "Pod is", "Pods are"), example.Name, cmp.Or(failure(example), "no readiness")), Advice: "see why: kubectl describe pod " + example.Name})
	}
	if before := w.in.Before; before != nil && before.Status.AvailableReplicas > 0 && w.leastAvailable == 0 && replicasOf(w.deployment) > 0 {
		all = append(all, Problem{Cause: "Availability", Message: "no Pod is available for a time: requests fail meanwhile",
			Advice: "use RollingUpdate with maxUnavailable: 0 and maxSurge: 1"})
	}
	return all
}

// newPodsWanted tells whether Pods of the new template are wanted at all.
func (w *world) newPodsWanted() bool {
	for _, rs := range w.sets {
		if w.isNew(rs) && rs.Spec.Replicas != nil && *rs.Spec.Replicas > 0 {
			return true
		}
	}
	return false
}

func plural(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}
