package sim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// story is what the player saw; calm is the same without faults, if there were
// any.
func (p *player) story(calm *player) Story {
	s := Story{
		Namespace: p.s.Deployment.Namespace, Name: p.s.Deployment.Name, Seed: p.s.Seed, Faults: []string{},
		Pods:   PodTimes{p.s.ReadyAfter.Seconds(), p.s.StopAfter.Seconds()},
		Events: p.r.events, Verdict: p.verdict(),
	}
	all := p.s.deployments()
	s.Strategy = strategyText(all[len(all)-1])
	for _, f := range p.s.Faults {
		s.Faults = append(s.Faults, f.Name)
	}
	if p.s.Random > 0 {
		s.Faults = append(s.Faults, fmt.Sprintf("%d drawn", p.s.Random))
	}
	if calm != nil && calm.complete >= 0 {
		s.Verdict.WithoutFaultsSeconds = new((calm.complete - calm.began).Seconds())
	}
	return s
}

func (p *player) verdict() Verdict {
	b := &p.r.bounds
	v := Verdict{
		Converged: p.complete >= 0 && p.w.ghost.violation == "", AfterSeconds: p.parts[len(p.parts)-1].Seconds(),
		LeastAvailable: b.least, MostPods: b.most, Breaches: []Breach{}, Violation: p.w.ghost.violation, Steps: p.steps,
	}
	for _, breach := range b.breaches {
		v.Breaches = append(v.Breaches, *breach)
		if breach.By == byControllers && v.Violation == "" {
			v.Violation = fmt.Sprintf("%d %s, and %d is the %s", breach.Worst, breach.Bound, breach.Limit, extremeOf(breach.Bound))
		}
	}
	d, exists := p.w.deployments.find(p.w.name)
	if exists {
		v.LeastAvailable.Bound, v.MostPods.Bound = limits(d)
	}
	if !v.Converged {
		v.Why = p.why(d)
	}
	return v
}

// why says what keeps it from converging.
func (p *player) why(d *appsv1.Deployment) string {
	c := p.counts()
	at := fmt.Sprintf("%d old and %s, %d available", c.Old, counted(c.New, "new Pod"), c.Available)
	switch {
	case d == nil:
		return "the Deployment is gone"
	case d.Spec.Paused:
		return at + ": it is paused"
	case p.steps >= mostSteps:
		return fmt.Sprintf("%s after %d steps, the most of a simulation", at, mostSteps)
	case p.w.elapsed > p.r.zero+mostTime:
		return at + " after " + durationText(mostTime)
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing && condition.Status == corev1.ConditionFalse {
			return at + ": " + condition.Reason
		}
	}
	return at + ", and nothing moves any more"
}
