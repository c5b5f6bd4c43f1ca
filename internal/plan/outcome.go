package plan

// complete tells what `kubectl rollout status` waits for.
func (w *world) complete() bool {
	status, wanted := w.deployment.Status, replicasOf(w.deployment)
	return status.ObservedGeneration >= w.deployment.Generation && status.UpdatedReplicas == wanted && status.Replicas == wanted && status.AvailableReplicas == wanted
}

// counts are the Pods as the ReplicaSets' statuses have them.
func (w *world) counts() Counts {
	var c Counts
	for _, rs := range w.sets {
		if w.isNew(rs) {
			c.New += rs.Status.Replicas
		} else {
			c.Old += rs.Status.Replicas
		}
		c.Available += rs.Status.AvailableReplicas
		if rs.Status.TerminatingReplicas != nil {
			c.Stopping += *rs.Status.TerminatingReplicas
		}
	}
	c.Total = c.Old + c.New
	return c
}

func (w *world) outcome() Outcome {
	o := Outcome{State: Stuck, AfterSeconds: w.sinceStart(), MostPods: w.mostPods, LeastAvailable: w.leastAvailable, Final: w.counts()}
	if !w.deadlineAt.IsZero() {
		o.DeadlineAfterSeconds = seconds(w.deadlineAt.Sub(w.in.Now))
	}
	if w.noteComplete() {
		o.AfterSeconds = seconds(w.completeAt.Sub(w.in.Now))
	}
	switch {
	case w.complete() && w.deadlineAt.IsZero():
		o.State = Complete
	case w.complete():
		o.State = Late
	default: // waiting for a deadline moves nothing
		o.AfterSeconds = seconds(w.movedAt.Sub(w.in.Now))
		if n := len(w.waves); n > 0 {
			o.AfterSeconds = max(o.AfterSeconds, w.waves[n-1].AtSeconds)
		}
	}
	return o
}
