package sim

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"coxswain.dev/cox/internal/reconcile"
)

// process is the controllers' memory: what a crash loses.
type process struct {
	w           *World
	deployments *reconcile.Deployments
	sets        *reconcile.Sets
	// deploymentQueue and setQueue are the keys to be looked at.
	deploymentQueue, setQueue queue
	// dead is set by a crash in the middle of a reconcile: no request of it
	// arrives any more.
	dead bool
}

// queue is a work queue: keys that are due, and keys that will be.
type queue struct {
	due    []reconcile.Key
	timers []timer
	// failures counts the tries of a key that failed in a row.
	failures map[reconcile.Key]int
}

type timer struct {
	at  time.Duration
	key reconcile.Key
}

// add makes a key due. The order of the keys does not depend on that of the
// calls: some of them come from ranging over maps.
func (q *queue) add(k reconcile.Key) {
	at, found := slices.BinarySearchFunc(q.due, k, func(a, b reconcile.Key) int { return cmp.Compare(a.Name, b.Name) })
	if !found {
		q.due = slices.Insert(q.due, at, k)
	}
}

// drop removes a key that is due.
func (q *queue) drop(k reconcile.Key) {
	q.due = slices.DeleteFunc(q.due, func(due reconcile.Key) bool { return due == k })
}

// take removes one of the keys that are due.
func (q *queue) take(w *World) (reconcile.Key, bool) {
	if len(q.due) == 0 {
		return reconcile.Key{}, false
	}
	i := 0
	if len(q.due) > 1 {
		i = w.pick(len(q.due))
	}
	k := q.due[i]
	q.due = slices.Delete(q.due, i, i+1)
	return k, true
}

// addAt makes a key due at a time. As in a real queue, of two times the earlier
// counts.
func (q *queue) addAt(at time.Duration, k reconcile.Key) {
	for i := range q.timers {
		if t := &q.timers[i]; t.key == k {
			t.at = min(t.at, at)
			return
		}
	}
	q.timers = append(q.timers, timer{at, k})
}

// wake makes those keys due whose time has come.
func (q *queue) wake(now time.Duration) {
	q.timers = slices.DeleteFunc(q.timers, func(t timer) bool {
		if t.at <= now {
			q.add(t.key)
		}
		return t.at <= now
	})
}

func newProcess(w *World) *process {
	p := &process{w: w}
	deployments := func(string) reconcile.Client[*appsv1.Deployment] { return deploymentAPI{w} }
	sets := func(string) reconcile.Client[*appsv1.ReplicaSet] { return setAPI{w} }
	pods := func(string) reconcile.Client[*corev1.Pod] { return podAPI{w} }
	p.deployments = &reconcile.Deployments{
		Deployments: &w.deploymentCache, Sets: &w.setCache, Pods: &w.podCache,
		DeploymentClient: deployments, SetClient: sets,
		Events: silent{}, Own: reconcile.NewOwnWrites(p.deploymentQueue.add), Now: w.now,
		Steady: func() time.Duration { return w.elapsed },
	}
	p.sets = &reconcile.Sets{
		Kind: reconcile.ReplicaSets(sets), Sets: &w.setCache, Pods: &w.podCache, PodClient: pods,
		Events: silent{}, Own: reconcile.NewOwnWrites(p.setQueue.add), Now: w.now,
		RandomName: func() string { return w.randomName() },
		Together: func(count int, f func(int)) {
			for i := range count {
				f(i)
			}
		},
	}
	if w.recorder != nil {
		p.deployments.Told, p.sets.Told = w.recorder.acts, w.recorder.sizes
	}
	for _, d := range w.deploymentCache.items {
		p.deploymentQueue.add(reconcile.KeyOf(d))
	}
	for _, rs := range w.setCache.items {
		p.setQueue.add(reconcile.KeyOf(rs))
	}
	return p
}

// silent drops the events that users would read.
type silent struct{}

func (silent) Event(runtime.Object, string, string, string)          {}
func (silent) Eventf(runtime.Object, string, string, string, ...any) {}

func (w *World) randomName() string {
	w.made++
	return strconv.Itoa(10000 + w.made)
}

func (p *process) wake() {
	p.deploymentQueue.wake(p.w.elapsed)
	p.setQueue.wake(p.w.elapsed)
}

// reconcileDeployment looks at one Deployment that is due.
func (p *process) reconcileDeployment() bool {
	k, due := p.deploymentQueue.take(p.w)
	if due {
		p.lookAtDeployment(k)
	}
	return due
}

func (p *process) lookAtDeployment(k reconcile.Key) {
	if !p.deployments.Own.Reached(k) {
		p.w.say("deployment controller: %s waits for the caches", k.Name)
		p.auditWait(&p.deploymentQueue, p.deployments.Own, k)
		return
	}
	d, _ := p.w.deploymentCache.get(k.Name)
	p.w.ghost.beginDeployment(p.w, d)
	p.w.ghost.staleLook, p.w.ghost.blindLook = p.w.deploymentCache.behind()+p.w.setCache.behind() > 0, p.w.isBlind()
	p.w.say("deployment controller: looks at %s", k.Name)
	p.finish(&p.deploymentQueue, k, p.deployments.Reconcile)
	p.auditWait(&p.deploymentQueue, p.deployments.Own, k)
}

// reconcileSet looks at one ReplicaSet that is due.
func (p *process) reconcileSet() bool {
	k, due := p.setQueue.take(p.w)
	if due {
		p.lookAtSet(k)
	}
	return due
}

func (p *process) lookAtSet(k reconcile.Key) {
	if !p.sets.Own.Reached(k) {
		p.w.say("replica set controller: %s waits for the caches", k.Name)
		p.auditWait(&p.setQueue, p.sets.Own, k)
		return
	}
	rs, _ := p.w.setCache.get(k.Name)
	p.w.ghost.beginSet(rs, p.w.podCache.seen)
	p.w.ghost.staleLook, p.w.ghost.blindLook = p.w.setCache.behind()+p.w.podCache.behind() > 0, p.w.isBlind()
	p.w.say("replica set controller: looks at %s", k.Name)
	p.finish(&p.setQueue, k, p.reconcileRefused)
	p.auditWait(&p.setQueue, p.sets.Own, k)
}

// ownWritesAudit is package controllers' own: a key that waits for its writes
// is looked at after it, should no event tell that the caches have them. The
// search does without, so that it sees each event that is missing.
const ownWritesAudit = 30 * time.Second

func (p *process) auditWait(q *queue, own *reconcile.OwnWrites, k reconcile.Key) {
	if p.w.audits && own.Waits(k) {
		q.addAt(p.w.elapsed+ownWritesAudit, k)
	}
}

// Package controllers takes the refusal of a quota for a state, and not for a
// failure that is tried again with growing pauses: refused sets are tried when
// a quota has room, once more after admissionLag, and every quotaAudit.
const (
	admissionLag = time.Second
	quotaAudit   = 5 * time.Minute
)

// reconcileRefused reconciles a set that a quota may refuse.
func (p *process) reconcileRefused(ctx context.Context, k reconcile.Key) (time.Time, error) {
	known := p.sets.HasFailed(k)
	wakeAt, err := p.sets.Reconcile(ctx, k)
	if !apierrors.IsForbidden(err) || p.dead {
		return wakeAt, err
	}
	p.w.say("  waits for the quota: %v", err)
	pause := admissionLag
	if known {
		pause = quotaAudit
	}
	if again := p.w.now().Add(pause); wakeAt.IsZero() || again.Before(wakeAt) {
		wakeAt = again
	}
	return wakeAt, nil
}

// quotaFreed wakes the sets that a quota has refused.
func (p *process) quotaFreed() {
	for _, k := range p.sets.Failed(namespace) {
		p.setQueue.add(k)
		p.setQueue.addAt(p.w.elapsed+admissionLag, k)
	}
}

// finish reconciles a key as the driver of package controllers does: failures
// are tried again with growing pauses, and WakeAt is kept by real time,
// whatever the clock does meanwhile.
func (p *process) finish(q *queue, k reconcile.Key, reconcileKey func(context.Context, reconcile.Key) (time.Time, error)) {
	wakeAt, err := reconcileKey(context.Background(), k)
	switch {
	case p.dead:
		p.w.restart(p.w.faults.beginAnew(p.w))
	case err != nil:
		if q.failures == nil {
			q.failures = map[reconcile.Key]int{}
		}
		q.failures[k]++
		p.w.say("  failed: %v", err)
		q.addAt(p.w.elapsed+5*time.Millisecond<<min(q.failures[k], 12), k)
	default:
		delete(q.failures, k)
		if !wakeAt.IsZero() {
			q.addAt(p.w.elapsed+wakeAt.Sub(p.w.now()), k)
		}
	}
}

// seeDeployments delivers up to count events of Deployments.
func (p *process) seeDeployments(count int) bool {
	return see(&p.w.deploymentCache, p, count, p.hearDeployment)
}

func (p *process) seeSets(count int) bool { return see(&p.w.setCache, p, count, p.hearSet) }

func (p *process) seePods(count int) bool { return see(&p.w.podCache, p, count, p.hearPod) }

// hearDeployment, hearSet and hearPod are the handlers of package controllers:
// what is to be looked at when an object has come, changed or gone.
func (p *process) hearDeployment(d *appsv1.Deployment) { p.deploymentQueue.add(reconcile.KeyOf(d)) }

func (p *process) hearSet(rs *appsv1.ReplicaSet) {
	p.setQueue.add(reconcile.KeyOf(rs))
	for _, k := range p.deployments.Owners(rs) {
		p.deploymentQueue.add(k)
	}
}

func (p *process) hearPod(pod *corev1.Pod) {
	for _, k := range p.sets.Owners(pod) {
		p.setQueue.add(k)
	}
	for _, k := range p.deployments.Waiting(pod) {
		p.deploymentQueue.add(k)
	}
}

// see lets a cache take up to count events over, and its handlers hear of them.
func see[O object](c *cache[O], p *process, count int, handle func(O)) bool {
	count = min(count, c.behind())
	for range count {
		before, after := c.next()
		notice[O]{before, after}.heard(handle)
	}
	if count == 0 {
		return false
	}
	p.moved(c)
	return true
}

// moved is called when a cache has come further.
func (p *process) moved(c reconcile.Store) {
	p.w.say("a cache is at %s", c.LastStoreSyncResourceVersion())
	p.deployments.Own.Look()
	p.sets.Own.Look()
}

// behind is of how many changes a cache has not heard yet.
func (w *World) behind(of kind) int {
	switch of {
	case kindDeployment:
		return w.deploymentCache.behind()
	case kindSet:
		return w.setCache.behind()
	default:
		return w.podCache.behind()
	}
}

// see lets a cache hear of the next changes.
func (w *World) see(of kind, count int) {
	switch of {
	case kindDeployment:
		w.process.seeDeployments(count)
	case kindSet:
		w.process.seeSets(count)
	default:
		w.process.seePods(count)
	}
}

// lags tells whether some cache does.
func (w *World) lags() bool {
	return w.behind(kindDeployment)+w.behind(kindSet)+w.behind(kindPod) > 0
}

// deliverAll lets all caches hear of everything.
func (w *World) deliverAll() {
	for of := range kinds {
		w.see(of, w.behind(of))
	}
}
