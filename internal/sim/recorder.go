package sim

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
	"coxswain.dev/cox/internal/rollout"
)

// recorder writes the time line of a Scenario.
type recorder struct {
	p *player
	// on is set when the Deployment is up; that was at zero.
	on     bool
	zero   time.Duration
	events []Event
	// lastPod is when something last happened to a Pod.
	lastPod time.Duration
	// fault is the last that struck; armed the one that waits for a write.
	fault, armed string
	// downUntil is when the controllers' process is back.
	downUntil time.Duration
	// action is what the Deployment controller is about to do; set and wanted
	// are what the ReplicaSet controller looks at, and why it acts.
	action     rollout.Action
	set, cause string
	conditions map[appsv1.DeploymentConditionType]string
	bounds     bounds
	// version is how far look has come.
	version int
}

// begin starts the time line.
func (r *recorder) begin(zero time.Duration) {
	r.on, r.zero = true, zero
	if d, exists := r.p.w.deployments.find(r.p.w.name); exists {
		r.conditions = conditionTexts(d)
		what := "up: "
		if d.Spec.Paused {
			what = "made, and paused from the beginning: "
		}
		r.say(Event{Who: "rollout", What: what + strategyText(d)})
	}
	r.bounds.begin(r)
}

// since is a time as the time line has it.
func (r *recorder) since(at time.Duration) float64 { return (at - r.zero).Seconds() }

func (r *recorder) say(e Event) {
	if !r.on {
		return
	}
	e.AtSeconds = r.since(r.p.w.elapsed)
	e.PodCounts = r.p.counts()
	r.events = append(r.events, e)
}

func (r *recorder) podSays(pod *corev1.Pod, what string) {
	r.lastPod = r.p.w.elapsed
	r.say(Event{Who: "Pod", What: what, Object: pod.Name, Of: ownerName(pod)})
}

func ownerName(o metav1.Object) string {
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return owner.Name
	}
	return ""
}

// edited tells of what the user did; the bounds are new then.
func (r *recorder) edited(what, cause string) {
	r.say(Event{Who: "user", What: what, Cause: cause})
	r.bounds.edited(r)
}

func (r *recorder) struck(name, said string) {
	r.fault = name
	r.say(Event{Who: "fault", What: name, Cause: said})
}

// acts hears what the Deployment controller is about to do.
func (r *recorder) acts(action rollout.Action) { r.action = action }

// sizes hears what the ReplicaSet controller is about to do.
func (r *recorder) sizes(set *replicas.Set, decision replicas.Decision) {
	r.action, r.set = nil, set.Meta.Name
	has := int(set.Replicas) - decision.Create + len(decision.Delete)
	r.cause = fmt.Sprintf("it wants %d and has %d", set.Replicas, has)
}

// meets hears that a request meets a fault.
func (r *recorder) meets() {
	if r.armed != "" {
		k, _ := findFault(r.armed)
		r.struck(r.armed, k.What)
		r.armed = ""
	}
}

// restarts hears that the controllers' process has ended; it is back later.
func (r *recorder) restarts() {
	r.armed, r.action = "", nil
	r.downUntil = r.p.w.elapsed + time.Duration(1000+r.p.w.pick(4001))*time.Millisecond
	r.p.after(r.downUntil-r.p.w.elapsed, func() { r.say(Event{Who: "fault", What: "over: the controllers' process is back"}) })
}

// record hears what became of a request.
func (w *World) record(of kind, verb, name string, err error) {
	if w.recorder != nil {
		w.recorder.answered(of, verb, name, err)
	}
}

func (r *recorder) answered(of kind, verb, name string, err error) {
	who := "ReplicaSet controller"
	if r.p.w.ghost.view != nil {
		who = "Deployment controller"
	}
	switch {
	case err != nil && verb == "get" && apierrors.IsNotFound(err):
	case err != nil:
		r.say(Event{Who: who, What: fmt.Sprintf("fails to %s %s %s", verb, of, name), Cause: err.Error()})
	case of == kindPod && verb == "create":
		r.say(Event{Who: who, What: "creates", Object: name, Of: r.set, Cause: r.cause})
	case of == kindPod && verb == "delete":
		r.say(Event{Who: who, What: "deletes", Object: name, Of: r.set, Cause: r.cause})
	case of == kindSet && r.action != nil:
		if what := r.actionText(); what != "" {
			r.say(Event{Who: who, What: what, Cause: r.action.Why()})
		}
		r.action = nil
	}
}

// actionText is what has been done to a ReplicaSet; empty for what nobody
// asks for.
func (r *recorder) actionText() string {
	switch a := r.action.(type) {
	case rollout.Create:
		return fmt.Sprintf("creates %s for %s", r.named(a.ReplicaSet.Name), counted(*a.ReplicaSet.Spec.Replicas, "replica"))
	case rollout.Update:
		if a.From == a.To {
			return ""
		}
		return fmt.Sprintf("scales %s from %d to %d", r.named(a.Name), a.From, a.To)
	case rollout.Delete:
		return "forgets " + a.Name
	case rollout.Adopt:
		return "adopts " + a.Name
	case rollout.Release:
		return "releases " + a.Name
	default:
		return ""
	}
}

// named says whether a ReplicaSet is of the newest template.
func (r *recorder) named(set string) string {
	d, exists := r.p.w.deployments.find(r.p.w.name)
	rs, there := r.p.w.sets.find(set)
	switch {
	case !exists || !there:
		return set
	case rollout.IsCurrent(rs, d):
		return "new " + set
	default:
		return "old " + set
	}
}

// look follows what the Deployment says of itself, and its bounds.
func (r *recorder) look() {
	if !r.on || r.version == r.p.w.version {
		return
	}
	r.version = r.p.w.version
	if d, exists := r.p.w.deployments.find(r.p.w.name); exists {
		now := conditionTexts(d)
		for _, c := range []appsv1.DeploymentConditionType{appsv1.DeploymentProgressing, appsv1.DeploymentAvailable, appsv1.DeploymentReplicaFailure} {
			if now[c] != r.conditions[c] && now[c] != "" {
				r.say(Event{Who: "status", What: now[c]})
			}
		}
		r.conditions = now
	}
	r.bounds.check(r)
}

// conditionTexts are the conditions that users look at: whether Progressing
// goes on is seen in the rest.
func conditionTexts(d *appsv1.Deployment) map[appsv1.DeploymentConditionType]string {
	texts := map[appsv1.DeploymentConditionType]string{}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionTrue {
			continue
		}
		texts[c.Type] = fmt.Sprintf("%s=%s, %s", c.Type, c.Status, c.Reason)
	}
	return texts
}

// counts are the Pods as they really are.
func (p *player) counts() PodCounts {
	var c PodCounts
	d, exists := p.w.deployments.find(p.w.name)
	if !exists {
		return c
	}
	isNew := map[types.UID]bool{}
	for _, rs := range p.w.sets.live {
		if isControlledBy(rs, d.UID) {
			isNew[rs.UID] = rollout.IsCurrent(rs, d)
		}
	}
	for _, pod := range p.w.pods.live {
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner == nil || hasEnded(pod) {
			continue
		}
		current, ours := isNew[owner.UID]
		switch {
		case !ours:
			continue
		case pod.DeletionTimestamp != nil:
			c.Stopping++
			continue
		case current:
			c.New++
		default:
			c.Old++
		}
		if p.isAvailable(pod) {
			c.Available++
		}
	}
	c.Total = c.Old + c.New
	return c
}
