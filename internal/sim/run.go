package sim

import (
	"fmt"
)

// Steps is the length of a schedule before its faults end, and MinFaults how
// many have struck by then. Where fewer have, because one waits for a write that
// does not come, it goes on: up to longest, which no schedule needs.
const (
	Steps     = 200
	MinFaults = 5
	longest   = 3 * Steps
)

// mostRounds bounds how long the world may take to come to rest when nothing
// goes wrong any more. In a round everything that can happen happens once.
const mostRounds = 400

// Result is what became of a schedule.
type Result struct {
	Seed uint64
	// Violation is empty if all went well.
	Violation string
	// Steps and Faults are how many there were; Rounds how many the world
	// then needed to come to rest.
	Steps, Faults, Rounds int
	// Trace is what happened; only of Replay.
	Trace string
}

// Run draws the schedule of a seed and runs it.
func Run(seed uint64) Result { return runSchedule(seed, nil) }

// Replay runs the schedule of a seed again, and keeps what happens.
func Replay(seed uint64) Result {
	t := &trace{}
	result := runSchedule(seed, t)
	result.Trace = t.text.String()
	return result
}

func runSchedule(seed uint64, t *trace) (result Result) {
	w := newWorld(seed, t)
	result.Seed = seed
	defer func() {
		if caught := recover(); caught != nil {
			result.Violation = fmt.Sprintf("panic: %v", caught)
		}
	}()
	w.createDeployment()
	p := plan{users: 4 + w.pick(8), faults: MinFaults + w.pick(6)}
	for w.ghost.violation == "" && (result.Steps < Steps || w.faults.count < MinFaults && result.Steps < longest) {
		p.next(w, Steps-result.Steps)
		result.Steps++
		w.checkState()
	}
	if w.ghost.violation == "" {
		result.Rounds = w.settle()
	}
	result.Faults, result.Violation = w.faults.count, w.ghost.violation
	if result.Violation != "" {
		w.say("VIOLATION: %s", result.Violation)
	}
	return result
}

// plan is how many things users are to do yet, and faults to strike.
type plan struct{ users, faults int }

// next is the next step, of which so many are left: drawn so that exactly as
// many are used as were planned.
func (p *plan) next(w *World, left int) {
	switch {
	case left <= 0 && w.chance(25):
		w.goWrong()
	case left > 0 && w.pick(left) < p.faults:
		p.faults--
		w.goWrong()
	case left > 0 && w.pick(left) < p.users:
		p.users--
		w.userActs()
	default:
		w.step()
	}
}

// settle ends the faults and lets everything run until nothing changes any
// more. It returns after how many rounds that was.
func (w *World) settle() int {
	w.heal()
	for round := range mostRounds {
		if !w.round() && !w.waitForTimer() {
			w.checkRest()
			return round
		}
		w.checkState()
		if w.ghost.violation != "" {
			return round
		}
	}
	w.violate("the world does not come to rest in %d rounds", mostRounds)
	return mostRounds
}

// round lets the caches catch up, the controllers look once at all that is due,
// and everything else run to its end.
func (w *World) round() bool {
	p := w.process
	p.wake()
	moved := p.seeDeployments(plenty)
	moved = p.seeSets(plenty) || moved
	moved = p.seePods(plenty) || moved
	for range len(p.deploymentQueue.due) {
		moved = p.reconcileDeployment() || moved
	}
	for range len(p.setQueue.due) {
		moved = p.reconcileSet() || moved
	}
	for w.runPods() {
		moved = true
	}
	for w.collectGarbage() {
		moved = true
	}
	return moved
}

// waitForTimer lets time pass until a key of the controllers is due.
func (w *World) waitForTimer() bool {
	waits := false
	for _, q := range []*queue{&w.process.deploymentQueue, &w.process.setQueue} {
		for _, t := range q.timers {
			if !waits || t.at < w.elapsed {
				w.elapsed, waits = max(w.elapsed, t.at), true
			}
		}
	}
	return waits
}
