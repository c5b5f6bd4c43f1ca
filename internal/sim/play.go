package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/fielddiff"
	"coxswain.dev/cox/internal/rollout"
)

// A scenario ends, whatever happens, after so many steps and so much time.
const (
	mostSteps = 200_000
	mostTime  = 24 * time.Hour
)

// longUp is how long a Deployment has been up when its updates begin.
const longUp = time.Hour

// player plays a Scenario: where a schedule lets anything happen at any step,
// here Pods take their time, and the controllers act as soon as they can.
type player struct {
	s Scenario
	w *World
	r *recorder
	// happenings come by time, the earliest first.
	happenings []happening
	// calm is how long each part takes without faults: a part is an update,
	// or, where there is none, the creation. parts is how long each took.
	calm, parts []time.Duration
	steps       int
	// readyAt is since when Pods are ready.
	readyAt map[types.UID]time.Duration
	// stopping are the Pods whose end has been arranged; slow those that will
	// take longer to end.
	stopping, slow map[types.UID]bool
	podsSeen       int
	// began is when the last update was made, complete when the rollout
	// became so; -1 while it is not.
	began, complete time.Duration
	current         int
}

// happening is something that comes by time.
type happening struct {
	at time.Duration
	do func()
}

func newPlayer(s Scenario, calm []time.Duration) *player {
	w := newWorld(s.Seed, nil)
	w.name = s.Deployment.Name
	w.nodes.room, w.nodes.quota = roomy, 10*MostPods
	p := &player{s: s, w: w, calm: calm, readyAt: map[types.UID]time.Duration{}, stopping: map[types.UID]bool{}, slow: map[types.UID]bool{}, complete: -1, current: -1}
	p.r = &recorder{p: p}
	w.recorder = p.r
	w.process = newProcess(w)
	return p
}

// play brings the Deployment up, makes the updates, and lets all come to rest.
func (p *player) play() {
	if len(p.s.Updates) > 0 {
		p.create()
		p.rest()
		// Time begins when the Deployment has been up for long, on a whole second:
		// its Pods are available by any minReadySeconds of an update.
		p.w.elapsed = (p.w.elapsed + longUp + time.Second - 1).Truncate(time.Second)
	}
	p.r.begin(p.w.elapsed)
	for _, f := range p.s.Faults {
		if f.At != nil {
			p.strikeAt(p.r.zero+*f.At, f.Name)
		}
	}
	if len(p.s.Updates) == 0 {
		p.create()
		p.arrange(0)
	}
	drawn := p.drawFaults()
	for i, u := range p.s.Updates {
		if u.At != nil {
			p.after(p.r.zero+*u.At-p.w.elapsed, func() { p.update(i, drawn) })
			continue
		}
		if i > 0 {
			p.rest()
		}
		p.update(i, drawn)
	}
	if len(p.s.Updates) == 0 {
		p.strikeDrawn(0, drawn)
	}
	p.rest()
	p.endPart()
	if d, exists := p.w.deployments.find(p.w.name); exists && p.isComplete(d) && p.w.ghost.violation == "" && p.steps < mostSteps {
		p.w.checkRest()
	}
}

// create stores the Deployment.
func (p *player) create() {
	d := p.s.Deployment.DeepCopy()
	d.Namespace, d.UID, d.Generation, d.CreationTimestamp = namespace, p.w.nextUID(), 1, p.w.timestamp()
	p.w.putDeployment(nil, d)
	p.w.ghost.leastReady = min(p.w.ghost.leastReady, d.Spec.MinReadySeconds)
	p.r.edited("creates it", strategyText(d))
	if len(p.s.Updates) == 0 {
		p.strikeNeverReady(0)
	}
	p.w.checkState()
}

// strikeNeverReady tells that the Pods of the first part never become ready,
// if that is so.
func (p *player) strikeNeverReady(part int) {
	if part == 0 && p.spoilt() {
		p.r.struck(neverReady, "its Pods will not become ready")
	}
}

// update makes one edit, and arranges the faults that are to fall into it.
func (p *player) update(i int, drawn []drawnFault) {
	before, exists := p.w.deployments.find(p.w.name)
	if !exists {
		return
	}
	p.arrange(i)
	u := p.s.Updates[i]
	after := before.DeepCopy()
	u.Deployment.Spec.DeepCopyInto(&after.Spec)
	after.Labels, after.Annotations = u.Deployment.Labels, map[string]string{}
	for key, value := range u.Deployment.Annotations {
		after.Annotations[key] = value
	}
	if revision, set := before.Annotations[rollout.RevisionAnnotation]; set {
		after.Annotations[rollout.RevisionAnnotation] = revision
	}
	p.w.putDeployment(before, after)
	p.w.ghost.leastReady = min(p.w.ghost.leastReady, after.Spec.MinReadySeconds)
	p.r.edited(fmt.Sprintf("update %d, %s", i+1, u.Title), changesText(before, after))
	p.strikeNeverReady(i)
	p.strikeDrawn(i, drawn)
	p.w.checkState()
}

// arrange notes that the i-th part of the story begins.
func (p *player) arrange(i int) {
	p.endPart()
	p.began, p.complete, p.current = p.w.elapsed, -1, i
}

// endPart keeps how long the part took, or moved, that ends now.
func (p *player) endPart() {
	if p.current < 0 {
		return
	}
	until := p.complete
	if until < 0 {
		until = p.r.lastPod
	}
	p.parts = append(p.parts, max(0, until-p.began))
}

// mostChanges of an edit are shown.
const mostChanges = 4

func changesText(before, after *appsv1.Deployment) string {
	changes := fielddiff.Of(before.Spec, after.Spec)
	text := ""
	for i, c := range changes {
		if i == mostChanges && len(changes) > mostChanges+1 {
			return text + fmt.Sprintf("; and %d more changes", len(changes)-i)
		}
		if i > 0 {
			text += "; "
		}
		text += strings.TrimSpace(fielddiff.Short(c))
	}
	return cmp.Or(text, "changes nothing in its spec")
}

// rest lets everything run until nothing moves any more.
func (p *player) rest() {
	for p.advance() {
		p.steps++
		if p.steps >= mostSteps || p.w.elapsed > p.r.zero+mostTime || p.w.ghost.violation != "" {
			break
		}
	}
}

// advance does what can be done now, or lets time pass until something can.
func (p *player) advance() bool {
	w := p.w
	for len(p.happenings) > 0 && p.happenings[0].at <= w.elapsed {
		next := p.happenings[0]
		p.happenings = p.happenings[1:]
		next.do()
		p.look()
	}
	if !p.isDown() {
		w.process.wake()
	}
	if p.act() {
		p.look()
		w.elapsed += time.Duration(200+w.pick(2000)) * time.Microsecond
		return true
	}
	at, waits := p.next()
	if waits {
		w.elapsed = max(w.elapsed, at)
	}
	return waits
}

// isDown tells whether the controllers' process has crashed and is not back.
func (p *player) isDown() bool { return p.w.elapsed < p.r.downUntil }

// act lets one part do one thing.
func (p *player) act() bool {
	w := p.w
	first := w.pick(6)
	for i := range 6 {
		switch part := (first + i) % 6; {
		case part == 0 && p.place(),
			part == 1 && !p.isDown() && w.process.reconcileDeployment(),
			part == 2 && !p.isDown() && w.process.reconcileSet(),
			part >= 3 && !p.isDown() && p.deliver(kind(part-3)):
			return true
		}
	}
	return w.collectGarbage()
}

func (p *player) deliver(of kind) bool {
	if behind := p.w.behind(of); behind > 0 && !p.w.faults.held(of) {
		p.w.see(of, 1+p.w.pick(behind))
		return true
	}
	return false
}

// look follows what one step has changed.
func (p *player) look() {
	p.watchEnds()
	p.r.look()
	p.w.checkState()
	d, exists := p.w.deployments.find(p.w.name)
	switch complete := exists && p.isComplete(d); {
	case !complete:
		p.complete = -1
	case p.complete < 0:
		p.complete = p.w.elapsed
		p.r.say(Event{Who: "rollout", What: "complete: " + counted(*d.Spec.Replicas, "Pod") + " of the newest template, all available"})
	}
}

// isComplete is what kubectl rollout status waits for.
func (p *player) isComplete(d *appsv1.Deployment) bool {
	status, wanted := d.Status, *d.Spec.Replicas
	return !d.Spec.Paused && status.ObservedGeneration >= d.Generation &&
		status.UpdatedReplicas == wanted && status.Replicas == wanted && status.AvailableReplicas == wanted
}

// next is when something happens by time alone.
func (p *player) next() (at time.Duration, waits bool) {
	earlier := func(t time.Duration) {
		if !waits || t < at {
			at, waits = t, true
		}
	}
	if len(p.happenings) > 0 {
		earlier(p.happenings[0].at)
	}
	for _, q := range []*queue{&p.w.process.deploymentQueue, &p.w.process.setQueue} {
		for _, t := range q.timers {
			earlier(max(t.at, p.r.downUntil))
		}
	}
	if p.isDown() {
		earlier(p.r.downUntil)
	}
	return at, waits
}

// after arranges something for later, after all that comes no later.
func (p *player) after(pause time.Duration, do func()) {
	at := p.w.elapsed + max(0, pause)
	i, _ := slices.BinarySearchFunc(p.happenings, at, func(h happening, at time.Duration) int {
		if h.at <= at {
			return -1
		}
		return 1
	})
	p.happenings = slices.Insert(p.happenings, i, happening{at, do})
}
