package sim

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/rollout"
)

// FaultKind is a fault that a user can name.
type FaultKind struct {
	Name string
	// What happens, in a sentence.
	What string
	// strike lets it happen. It returns what to say of it, and false if it
	// cannot happen now. What waits for a write says nothing yet.
	strike func(p *player) (said string, happens bool)
	// notDrawn is set where it would be in the way of everything else.
	notDrawn bool
}

// neverReady is part of the whole scenario, not of a moment.
const neverReady = "never-ready"

// FaultKinds are all of them.
var FaultKinds = []FaultKind{
	{neverReady, "The Pods of the first update never become ready: a wrong image, a failing probe.", nil, true},
	{"pod-crashes", "A Pod's container crashes: the Pod is not ready until it has started again.", onPod("crashes", func(p *player, pod *corev1.Pod) {
		p.w.crashPod(pod)
		p.readySoon(pod.UID)
	}), false},
	{"pod-fails", "A Pod fails for good and has to be replaced.", onPod("fails", func(p *player, pod *corev1.Pod) { p.w.failPod(pod) }), false},
	{"pod-evicted", "Somebody deletes a Pod.", onPod("is evicted", func(p *player, pod *corev1.Pod) { p.w.deletePod(pod, byOthers) }), false},
	{"pod-vanishes", "A Pod is gone at once, as when its node is lost.", onPod("vanishes", func(p *player, pod *corev1.Pod) {
		p.w.ghost.lost(p.w, pod)
		p.w.removePod(pod)
	}), false},
	{"pod-hangs", "A Pod, an old one if there is one, takes 30 to 60 s longer to end when it is told to.", hang, false},
	{"conflict", "A write of the controllers is refused, as if the object had been changed since they looked.", onNextWrite(fateConflict), false},
	{"refused-write", "A write is not carried out, and the error does not say so.", onNextWrite(fateRefused), false},
	{"lost-answer", "A write is carried out, and its answer is lost.", onNextWrite(fateLost), false},
	{"outage", "A write is carried out, its answer is lost, and the next three requests fail.", onNextWrite(fateOutage), false},
	{"crash-before-write", "The controllers' process crashes just before a write, and is back after 1 to 5 s.", onNextWrite(fateCrashBefore), false},
	{"crash-after-write", "The controllers' process crashes just after a write, and is back after 1 to 5 s.", onNextWrite(fateCrashAfter), false},
	{"crash", "The controllers' process crashes between two decisions, and is back after 1 to 5 s.", crash, false},
	{"silent-deployments", "The controllers' watch of Deployments is silent for 5 to 30 s: they know old news.", silence(kindDeployment), false},
	{"silent-replicasets", "The controllers' watch of ReplicaSets is silent for 5 to 30 s.", silence(kindSet), false},
	{"silent-pods", "The controllers' watch of Pods is silent for 5 to 30 s.", silence(kindPod), false},
	{"doubled-event", "All watch events come once more.", func(p *player) (string, bool) { return "all events come once more", p.w.double() }, false},
	{"clock-forward", "The machine's clock jumps forward, by up to two hours.", clockForward, false},
	{"clock-back", "The machine's clock jumps back, by up to two hours.", clockBack, false},
	{"quota", "A quota allows no further Pod, for 10 to 30 s.", quota, false},
	{"nodes-full", "No node has room for a further Pod, for 10 to 30 s.", nodesFull, false},
}

// findFault finds a kind by its name.
func findFault(name string) (FaultKind, error) {
	var names []string
	for _, k := range FaultKinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return FaultKind{}, fmt.Errorf("there is no fault %q, only %s", name, strings.Join(names, ", "))
}

// drawnFault is one that falls into a part of the story at a drawn time.
type drawnFault struct {
	name string
	part int
	at   time.Duration
}

// anyway is how long the time for faults is where nothing takes time.
const anyway = 10 * time.Second

// drawFaults draws when the named faults without a time strike, and which
// others do. They fall into the time that the story takes without them.
func (p *player) drawFaults() []drawnFault {
	var drawn []drawnFault
	draw := func(name string) {
		part, at := p.drawTime()
		drawn = append(drawn, drawnFault{name, part, at})
	}
	for _, f := range p.s.Faults {
		if f.At == nil && f.Name != neverReady {
			draw(f.Name)
		}
	}
	for range p.s.Random {
		k := FaultKinds[p.w.pick(len(FaultKinds))]
		for k.notDrawn {
			k = FaultKinds[p.w.pick(len(FaultKinds))]
		}
		draw(k.Name)
	}
	return drawn
}

func (p *player) drawTime() (part int, at time.Duration) {
	total := time.Duration(0)
	for _, length := range p.calm {
		total += length
	}
	if total < time.Second {
		return 0, time.Duration(p.w.pick(int(anyway)))
	}
	at = time.Duration(p.w.pick(int(total)))
	for part < len(p.calm)-1 && at >= p.calm[part] {
		at -= p.calm[part]
		part++
	}
	return part, at
}

// strikeDrawn arranges the faults of the part that begins now.
func (p *player) strikeDrawn(part int, drawn []drawnFault) {
	for _, f := range drawn {
		if f.part == part {
			p.strikeAt(p.w.elapsed+f.at, f.name)
		}
	}
}

// A fault that cannot happen yet, since there is no Pod for it, is tried again
// for a while.
const (
	tryAgain  = 500 * time.Millisecond
	mostTries = 60
)

func (p *player) strikeAt(at time.Duration, name string) {
	k, err := findFault(name)
	if err != nil || k.strike == nil {
		return
	}
	p.after(at-p.w.elapsed, func() { p.strike(k, mostTries) })
}

func (p *player) strike(k FaultKind, tries int) {
	p.r.fault = k.Name
	said, happens := k.strike(p)
	switch {
	case happens && said != "":
		p.r.struck(k.Name, said)
	case happens:
		p.r.armed = k.Name
	case tries > 0:
		p.after(tryAgain, func() { p.strike(k, tries-1) })
	}
}

// onPod does something to one of the Pods.
func onPod(said string, do func(*player, *corev1.Pod)) func(*player) (string, bool) {
	return func(p *player) (text string, happens bool) {
		happens = p.w.somePod(func(pod *corev1.Pod) {
			text = "Pod " + pod.Name + " " + said
			do(p, pod)
		})
		return text, happens
	}
}

func hang(p *player) (text string, happens bool) {
	d, exists := p.w.deployments.find(p.w.name)
	mark := func(pod *corev1.Pod) {
		p.slow[pod.UID] = true
		text = "Pod " + pod.Name + " will hang when it is told to stop"
	}
	if exists {
		for _, rs := range p.w.oldestFirst() {
			for _, pod := range p.w.podsOf(rs.UID) {
				if !rollout.IsCurrent(rs, d) && isActive(pod) && !p.slow[pod.UID] {
					mark(pod)
					return text, true
				}
			}
		}
	}
	return text, p.w.somePod(mark)
}

// onNextWrite arms a fault for the next write, unless another waits for it.
func onNextWrite(f fate) func(*player) (string, bool) {
	return func(p *player) (string, bool) {
		if p.w.faults.armed != fateFine {
			return "", false
		}
		p.w.faults.armed, p.w.faults.after = f, 0
		return "", true
	}
}

func crash(p *player) (string, bool) {
	p.w.restart(p.w.chance(50))
	return "the controllers' process crashes", true
}

func silence(of kind) func(*player) (string, bool) {
	return func(p *player) (string, bool) {
		if p.w.faults.held(of) {
			return "", false
		}
		p.w.faults.holds[of] = 1
		p.after(time.Duration(5000+p.w.pick(25001))*time.Millisecond, func() {
			p.w.faults.holds[of] = 0
			p.w.relist(of)
			p.r.say(Event{Who: "fault", What: fmt.Sprintf("over: the watch of %ss is there again", of)})
		})
		return fmt.Sprintf("the watch of %ss is silent", of), true
	}
}

func clockForward(p *player) (string, bool) {
	jump := time.Duration(1+p.w.pick(7200)) * time.Second
	p.w.skew += jump
	return "the clock jumps forward by " + durationText(jump), true
}

func clockBack(p *player) (string, bool) {
	before := p.w.skew
	p.w.clockBack()
	return "the clock jumps back by " + durationText(before-p.w.skew), true
}

// shortage is how long quotas and nodes are full.
func (p *player) shortage() time.Duration {
	return time.Duration(10000+p.w.pick(20001)) * time.Millisecond
}

func quota(p *player) (string, bool) {
	if p.w.nodes.quota <= MostPods {
		return "", false
	}
	before := p.w.nodes.quota
	p.w.nodes.quota = len(p.w.pods.live)
	p.after(p.shortage(), func() {
		p.w.nodes.quota = before
		p.w.process.quotaFreed()
		p.r.say(Event{Who: "fault", What: "over: the quota is lifted"})
	})
	return "a quota allows no further Pod", true
}

func nodesFull(p *player) (string, bool) {
	if p.w.nodes.room != roomy {
		return "", false
	}
	p.w.nodes.room = [3]int{}
	p.after(p.shortage(), func() {
		p.w.nodes.room = roomy
		p.r.say(Event{Who: "fault", What: "over: nodes have room again"})
	})
	return "no node has room for a further Pod", true
}
