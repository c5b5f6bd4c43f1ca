package sim

import (
	"math/rand/v2"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// World is everything there is.
type World struct {
	random *rand.Rand
	trace  *trace
	// recorder hears of what happens in a Scenario; nil in schedules.
	recorder *recorder
	// name is the Deployment's that everything is about.
	name string

	// elapsed is the time that has really passed; skew is how far the
	// machine's clock is off.
	elapsed, skew time.Duration
	version       int
	made          int
	// audits: keys do not wait for ever for their own writes.
	audits bool

	deployments table[*appsv1.Deployment]
	sets        table[*appsv1.ReplicaSet]
	pods        table[*corev1.Pod]

	// The caches are in front of the process: a restart begins with what
	// they have then.
	deploymentCache cache[*appsv1.Deployment]
	setCache        cache[*appsv1.ReplicaSet]
	podCache        cache[*corev1.Pod]

	process *process
	nodes   nodes
	faults  faults
	ghost   ghost
}

// start is the time at which every schedule begins.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newWorld is an empty world whose controllers have just started.
func newWorld(seed uint64, t *trace) *World {
	w := &World{random: rand.New(rand.NewPCG(seed, 0xc0c5)), trace: t, name: web, version: 100, audits: true, nodes: newNodes(), faults: newFaults(), ghost: newGhost()}
	w.deploymentCache.of, w.setCache.of, w.podCache.of = &w.deployments, &w.sets, &w.pods
	w.process = newProcess(w)
	return w
}

// now is what the machine's clock shows.
func (w *World) now() time.Time { return start.Add(w.elapsed + w.skew) }

// timestamp is now as the API stores it.
func (w *World) timestamp() metav1.Time { return metav1.NewTime(w.now().Truncate(time.Second)) }

func (w *World) nextVersion() string {
	w.version++
	return strconv.Itoa(w.version)
}

func (w *World) nextUID() types.UID {
	w.made++
	return types.UID("u" + strconv.Itoa(w.made))
}

// pick is a random number below n.
func (w *World) pick(n int) int { return w.random.IntN(n) }

func (w *World) chance(percent int) bool { return w.random.IntN(100) < percent }

// step lets one part of the world do one thing. Parts that have nothing to do
// leave their turn to others.
func (w *World) step() {
	w.elapsed += time.Duration(w.pick(1500)) * time.Millisecond
	w.process.wake()
	w.faults.age(w)
	first := w.pick(100)
	for try := range 4 {
		switch part := (first + 25*try) % 100; {
		case part < 6 && w.process.reconcileDeployment(),
			part >= 6 && part < 17 && w.process.reconcileSet(),
			part >= 17 && part < 54 && w.deliver(),
			part >= 54 && part < 95 && w.runPods(),
			part >= 95 && w.collectGarbage():
			return
		}
	}
	w.deliver()
}

// deliver lets one cache that is behind catch up by some events.
func (w *World) deliver() bool {
	for range 3 {
		switch w.pick(5) {
		case 0:
			if !w.faults.held(kindDeployment) && w.process.seeDeployments(1+w.pick(2)) {
				return true
			}
		case 1, 2:
			if !w.faults.held(kindSet) && w.process.seeSets(1+w.pick(3)) {
				return true
			}
		default:
			if !w.faults.held(kindPod) && w.process.seePods(1+w.pick(4)) {
				return true
			}
		}
	}
	return false
}

// kind numbers the three kinds.
type kind int

const (
	kindDeployment kind = iota
	kindSet
	kindPod
	kinds
)

func (k kind) String() string { return [...]string{"Deployment", "ReplicaSet", "Pod"}[k] }
