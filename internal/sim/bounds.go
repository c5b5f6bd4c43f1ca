package sim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
)

// bounds follows what a Deployment promises: how many Pods are available, how
// many there are.
type bounds struct {
	least, most Extreme
	// reached is the most available, and the fewest there were, since the last
	// edit: an edit asks for more at once than anybody can give, and a bound
	// holds from when it was first met.
	reached struct{ available, total int32 }
	// edits counts them; rescaled tells whether the last changed the size.
	edits    int
	replicas int32
	rescaled bool
	open     map[string]*Breach
	breaches []*Breach
}

func (b *bounds) begin(r *recorder) {
	c := r.p.counts()
	b.least, b.most = Extreme{Seen: c.Available}, Extreme{Seen: c.Total}
	b.reached.available, b.reached.total = c.Available, c.Total
	b.open = map[string]*Breach{}
}

func (b *bounds) edited(r *recorder) {
	c := r.p.counts()
	b.reached.available, b.reached.total = c.Available, c.Total
	if d, exists := r.p.w.deployments.find(r.p.w.name); exists {
		b.rescaled = b.edits > 0 && b.replicas != *d.Spec.Replicas
		b.replicas = *d.Spec.Replicas
		b.edits++
	}
}

// check compares the Pods with the bounds after a step.
func (b *bounds) check(r *recorder) {
	d, exists := r.p.w.deployments.find(r.p.w.name)
	if !exists {
		return
	}
	c, at := r.p.counts(), r.since(r.p.w.elapsed)
	if c.Available < b.least.Seen {
		b.least.Seen, b.least.AtSeconds = c.Available, at
	}
	if c.Total > b.most.Seen {
		b.most.Seen, b.most.AtSeconds = c.Total, at
	}
	b.reached.available, b.reached.total = max(b.reached.available, c.Available), min(b.reached.total, c.Total)
	floor, ceiling := limits(d)
	if floor = min(floor, b.reached.available); c.Available < floor {
		b.broken(r, Breach{Bound: "available", Worst: c.Available, Limit: floor, By: b.blame(r)}, func(worst int32) bool { return c.Available < worst })
	} else {
		b.kept(r, "available")
	}
	if ceiling = max(ceiling, b.reached.total); c.Total > ceiling {
		by := b.blame(r)
		if r.p.wanted(d) <= ceiling && r.p.w.ghost.violation == "" {
			by = bySlowness
		}
		b.broken(r, Breach{Bound: "total", Worst: c.Total, Limit: ceiling, By: by}, func(worst int32) bool { return c.Total > worst })
	} else {
		b.kept(r, "total")
	}
}

// limits are the fewest available and the most Pods that a Deployment allows.
func limits(d *appsv1.Deployment) (floor, ceiling int32) {
	surge, unavailable := fences(d)
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0, *d.Spec.Replicas
	}
	return *d.Spec.Replicas - unavailable, *d.Spec.Replicas + surge
}

func (b *bounds) broken(r *recorder, now Breach, isWorse func(worst int32) bool) {
	if open := b.open[now.Bound]; open != nil {
		if isWorse(open.Worst) {
			open.Worst = now.Worst
		}
		return
	}
	now.FromSeconds = r.since(r.p.w.elapsed)
	b.open[now.Bound] = &now
	b.breaches = append(b.breaches, &now)
	r.say(Event{Who: "bound", What: fmt.Sprintf("broken: %d %s, and %d is the %s", now.Worst, now.Bound, now.Limit, extremeOf(now.Bound)), Cause: now.By})
}

func extremeOf(bound string) string {
	if bound == "available" {
		return "least"
	}
	return "most"
}

func (b *bounds) kept(r *recorder, bound string) {
	if open := b.open[bound]; open != nil {
		open.UntilSeconds = new(r.since(r.p.w.elapsed))
		delete(b.open, bound)
		r.say(Event{Who: "bound", What: bound + " is within its bound again"})
	}
}

// bySlowness: the Deployment controller sizes ReplicaSets within the bounds,
// and a ReplicaSet that grows may be faster than one that shrinks, here as in
// Kubernetes.
const bySlowness = "a ReplicaSet that has not yet deleted what it was told to"

// wanted are the Pods that their ReplicaSets want.
func (p *player) wanted(d *appsv1.Deployment) int32 {
	total := int32(0)
	for _, rs := range p.w.sets.live {
		if !isControlledBy(rs, d.UID) {
			continue
		}
		active := int32(0)
		for _, pod := range p.w.podsOf(rs.UID) {
			if isActive(pod) {
				active++
			}
		}
		total += min(active, *rs.Spec.Replicas)
	}
	return total
}

// byControllers is the blame that must never be.
const byControllers = "the controllers"

// blame tells who broke a bound. The rules that every write is checked by know
// what a controller could know: where they hold, it was not the controllers,
// even if it was their write after a fault that they had not heard of.
func (b *bounds) blame(r *recorder) string {
	switch {
	case r.p.w.ghost.violation != "":
		return byControllers
	case r.fault != "":
		return "fault " + r.fault
	case b.rescaled:
		return "the user's change of size"
	default:
		return byControllers
	}
}
