package agent

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/agent/objects"
	"coxswain.dev/cox/internal/podlifecycle"
)

// worker runs one Pod.
type worker struct {
	agent *Agent
	log   *slog.Logger
	ctx   context.Context
	// wake has room for one: more would say the same.
	wake    chan struct{}
	publish *publisher
	since   time.Time

	mu  sync.Mutex // guards what follows
	pod *corev1.Pod
	// gone is set when the API has deleted the Pod.
	gone bool
	// status was decided last; nil before the first decision.
	status *corev1.PodStatus
	// dirty means that the runtime has to be asked again.
	dirty    bool
	observed observation
	images   map[string]podlifecycle.Image
	failures map[string]podlifecycle.Failure
	results  map[string]podlifecycle.ProbeResults
	// started has the containers, by id, whose start this agent has asked for.
	started map[string]bool
	// volumesReady, unrouted and tornDown are results of actions.
	volumesReady, unrouted, tornDown bool
	// wasReady says that the Pod was Ready at some time.
	wasReady bool
	// routed is the outcome of the last Route, while the Pod has the condition.
	routed podlifecycle.Routed
	// underway has the actions that were begun; the function ends one early.
	underway map[string]context.CancelFunc
	probes   map[podlifecycle.Probe]context.CancelFunc
	// told are the events of the last decision.
	told map[podlifecycle.Event]bool
	// refresh is when volumes have to be brought up to date, zero for never.
	refresh time.Time
}

func newWorker(ctx context.Context, a *Agent, pod *corev1.Pod) *worker {
	w := &worker{
		agent:    a,
		log:      a.log.With("pod", pod.Namespace+"/"+pod.Name, "uid", pod.UID),
		ctx:      ctx,
		wake:     make(chan struct{}, 1),
		since:    time.Now(),
		pod:      pod,
		dirty:    true,
		images:   map[string]podlifecycle.Image{},
		failures: map[string]podlifecycle.Failure{},
		results:  map[string]podlifecycle.ProbeResults{},
		started:  map[string]bool{},
		underway: map[string]context.CancelFunc{},
		probes:   map[podlifecycle.Probe]context.CancelFunc{},
	}
	w.publish = newPublisher(w)
	return w
}

// nudge makes the worker decide again.
func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// runtimeChanged makes the worker observe and decide again.
func (w *worker) runtimeChanged() {
	w.mu.Lock()
	w.dirty = true
	w.mu.Unlock()
	w.nudge()
}

func (w *worker) newest() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod
}

// see takes a version of the Pod from the API.
func (w *worker) see(pod *corev1.Pod) {
	w.publish.seen(pod)
	w.mu.Lock()
	first := w.pod == pod
	relevant := first || changed(w.pod, pod)
	described := !first && (!sameMap(w.pod.Labels, pod.Labels) || !sameMap(w.pod.Annotations, pod.Annotations))
	w.pod = pod
	if described {
		w.refresh = time.Now() // volumes may show labels
	}
	w.mu.Unlock()
	if first || relevant {
		w.agent.objects.Use(pod.UID, objects.UsedBy(pod), w.objectsChanged)
	}
	if relevant || described {
		w.nudge()
	}
}

// changed tells whether there is more to a new version than a status that the
// agent itself has written.
func changed(old, pod *corev1.Pod) bool {
	return old.Generation != pod.Generation || old.Generation == 0 ||
		(old.DeletionTimestamp == nil) != (pod.DeletionTimestamp == nil) ||
		!sameGrace(old.DeletionGracePeriodSeconds, pod.DeletionGracePeriodSeconds) ||
		old.Status.Phase != pod.Status.Phase || len(old.Status.Conditions) != len(pod.Status.Conditions) || len(pod.Spec.ReadinessGates) > 0
}

func sameGrace(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }

func sameMap(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if other, known := b[key]; !known || other != value {
			return false
		}
	}
	return true
}

// goneFromAPI notes that the Pod was deleted from the API.
func (w *worker) goneFromAPI(pod *corev1.Pod) {
	w.mu.Lock()
	w.gone = true
	w.pod = pod
	w.mu.Unlock()
	w.agent.objects.Use(pod.UID, nil, nil)
	w.nudge()
}

// objectsChanged is called after a ConfigMap or Secret of the Pod has changed:
// what failed for want of it is tried again.
func (w *worker) objectsChanged() {
	w.mu.Lock()
	for key, failure := range w.failures {
		if key == (podlifecycle.PrepareVolumes{}).Key() || failure.Reason == reasonConfigError {
			failure.Backoff = 0
			w.failures[key] = failure
		}
	}
	w.refresh = time.Now()
	w.mu.Unlock()
	w.nudge()
}

// run works until the Pod is gone, or until the agent stops.
func (w *worker) run() {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	group.Go(func() { w.publish.run(ctx) })
	defer w.stopProbes()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		wakeAt, over := w.step(&group)
		if over {
			w.removeRest()
			return
		}
		timer.Stop()
		if !wakeAt.IsZero() {
			timer.Reset(max(time.Until(wakeAt), 0))
		}
	}
}

// removeRest removes what a Pod leaves when everything of it has ended.
func (w *worker) removeRest() {
	w.removeLogs()
	if err := w.agent.cgroups.Remove(string(w.pod.UID)); err != nil {
		w.log.Warn("the Pod's cgroup was not removed", "error", err)
	}
}

// observeRetry is the pause after the runtime did not answer.
const observeRetry = 500 * time.Millisecond

// step observes, decides and begins what was decided. It tells when to wake up
// at the latest, and whether the Pod is gone.
func (w *worker) step(group *sync.WaitGroup) (wakeAt time.Time, over bool) {
	w.mu.Lock()
	dirty, last := w.dirty, w.observed
	w.dirty = false
	w.mu.Unlock()
	if dirty {
		now, err := w.agent.observe(w.ctx, w.pod.UID, last)
		if err != nil {
			if w.ctx.Err() == nil {
				w.log.Warn("the container runtime does not answer, trying again", "error", err)
			}
			w.mu.Lock()
			w.dirty = true
			w.mu.Unlock()
			return time.Now().Add(observeRetry), false
		}
		last = now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgive(last.containers)
	w.observed = last
	if w.gone && w.tornDown && len(last.sandboxes) == 0 && len(last.containers) == 0 && len(w.underway) == 0 {
		return time.Time{}, true
	}
	decision := podlifecycle.Decide(w.snapshot())
	w.status = &decision.Status
	w.wasReady = w.wasReady || showsReady(w.status) || showsReady(&w.pod.Status)
	if !slices.ContainsFunc(decision.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == podlifecycle.RoutedCondition }) {
		w.routed = podlifecycle.RoutedUnknown
	}
	if !w.gone {
		w.publish.status(decision.Status)
	}
	w.tell(decision.Events)
	w.setProbes(decision.Probes)
	for _, action := range decision.Actions {
		w.begin(group, action)
	}
	w.endEarly()
	return earliest(decision.WakeAt, w.refreshVolumes(group)), false
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// snapshot is what the core sees. The caller holds the lock.
func (w *worker) snapshot() podlifecycle.Snapshot {
	pod := *w.pod
	if w.status != nil {
		pod.Status = *w.status
		pod.Status.Conditions = withOthers(w.status.Conditions, w.pod.Status.Conditions)
		if phase := w.pod.Status.Phase; phase == corev1.PodFailed || phase == corev1.PodSucceeded {
			// Somebody, or this agent, has ended it.
			pod.Status.Phase, pod.Status.Reason, pod.Status.Message = phase, w.pod.Status.Reason, w.pod.Status.Message
		}
	}
	underway := map[string]bool{}
	for key := range w.underway {
		underway[key] = true
	}
	return podlifecycle.Snapshot{
		Now: time.Now(), Since: w.since, Pod: &pod, Gone: w.gone, HostIPs: []string{w.agent.config.NodeIP},
		Sandboxes: w.observed.sandboxes, Containers: w.observed.containers,
		Probes: w.results, Images: w.images, Failures: w.failures,
		VolumesReady: w.volumesReady, Unrouted: w.unrouted, Services: w.agent.servicesOf(&pod), Routed: w.routed, TornDown: w.tornDown, Underway: underway,
	}
}

// withOthers takes the conditions of others from what the API has.
func withOthers(ours, fromAPI []corev1.PodCondition) []corev1.PodCondition {
	mine := map[corev1.PodConditionType]corev1.PodCondition{}
	for _, kind := range podlifecycle.OwnedConditions() {
		for _, condition := range ours {
			if condition.Type == kind {
				mine[kind] = condition
			}
		}
	}
	var all []corev1.PodCondition
	for _, condition := range fromAPI {
		if !slices.Contains(podlifecycle.OwnedConditions(), condition.Type) {
			all = append(all, condition)
		}
	}
	for _, kind := range podlifecycle.OwnedConditions() {
		if condition, known := mine[kind]; known {
			all = append(all, condition)
		}
	}
	return all
}

// endEarly ends what a Pod that is to stop has no use for.
func (w *worker) endEarly() {
	if w.pod.DeletionTimestamp == nil && !w.gone {
		return
	}
	for key, end := range w.underway {
		if key == (podlifecycle.PrepareVolumes{}).Key() || strings.HasPrefix(key, "pull/") || strings.HasPrefix(key, "start/") {
			end()
		}
	}
}
