package sim

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/rollout"
)

// ghost is what the checks know and nobody in the world does.
type ghost struct {
	violation string
	// view and viewSet are what the controller at work has in its cache of
	// the object that it looks at; views are the ReplicaSets then, podsSeen
	// how much it knows of Pods.
	view     *appsv1.Deployment
	views    []*appsv1.ReplicaSet
	viewSet  *appsv1.ReplicaSet
	podsSeen int
	// refused is set when a request of the controller at work has failed.
	refused bool
	// liveRead is what the controller at work has read past its caches.
	liveRead types.UID
	// statusPods is how much was known of Pods when the status of a
	// ReplicaSet was written, by the ReplicaSet's resourceVersion.
	statusPods map[string]int
	losses     []loss
	// blind is how far the caches have to come after a restart to know what
	// the process before had written.
	blind    [kinds]int
	orphaned []types.UID
	// relabeled are Pods that users took out of their sets: they may come
	// back at any time.
	relabeled  []types.UID
	leastReady int32
	// total, checked and seen are what checkState saw last.
	total         int32
	checked, seen int
	// staleLook is set when a controller looks at caches that lag, blindLook
	// when they are blind: they may see before it writes.
	staleLook, blindLook bool
	// watches is set when the process has looked at a Deployment, watchedFrom is
	// what its clock showed then, or when it was last set; skew is as at the
	// last look.
	watches     bool
	watchedFrom time.Time
	skew        time.Duration
}

// loss is a Pod that was taken from its set by something else than the
// controllers.
type loss struct {
	pod, set types.UID
	// at is its place in the history of Pods.
	at int
}

func newGhost() ghost { return ghost{statusPods: map[string]int{}, leastReady: 1 << 30} }

func (w *World) violate(format string, args ...any) {
	if w.ghost.violation == "" {
		w.ghost.violation = fmt.Sprintf(format, args...)
	}
}

func (g *ghost) beginDeployment(w *World, d *appsv1.Deployment) {
	g.view, g.viewSet, g.liveRead = d, nil, ""
	if !g.watches || (w.skew-g.skew).Abs() >= 10*time.Second {
		g.watches, g.watchedFrom = true, w.now()
	}
	g.skew = w.skew
}

func (g *ghost) beginSet(rs *appsv1.ReplicaSet, podsSeen int) {
	g.view, g.viewSet, g.podsSeen, g.liveRead, g.refused = nil, rs, podsSeen, "", false
}

// setChanged keeps track of what the status of a ReplicaSet knows.
func (g *ghost) setChanged(before, after *appsv1.ReplicaSet) {
	g.statusPods[after.ResourceVersion] = g.statusPods[before.ResourceVersion]
}

// lost notes that a Pod is available, or there, no more, and the controllers
// have no part in it.
func (g *ghost) lost(w *World, pod *corev1.Pod) {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && isActive(pod) {
		g.losses = append(g.losses, loss{pod.UID, owner.UID, w.pods.end()})
	}
}

// forgetDeletions makes losses of the Pods that a process before has told to
// end and the caches do not know to: the next one cannot know either, nor can
// who reads the status that it writes meanwhile.
func (g *ghost) forgetDeletions(w *World) {
	for place := w.podCache.seen; place < w.pods.end(); place++ {
		pod := w.pods.at(place)
		if owner := metav1.GetControllerOfNoCopy(pod.object); owner != nil && (pod.gone || pod.object.DeletionTimestamp != nil) {
			g.losses = append(g.losses, loss{pod.object.UID, owner.UID, place})
		}
	}
}

// isBlind tells whether the caches do not know yet all that the process before
// a crash had written. Nothing can make up for that: the bounds hold again
// when they do.
func (w *World) isBlind() bool {
	return w.deploymentCache.seen < w.ghost.blind[kindDeployment] || w.setCache.seen < w.ghost.blind[kindSet] || w.podCache.seen < w.ghost.blind[kindPod]
}

// wroteBlindly tells whether what is being written, or was last, comes of a
// look at caches that were blind.
func (w *World) wroteBlindly() bool { return w.ghost.blindLook || w.isBlind() }

// forgive takes what was written blindly as it is: the process ends that could
// not know better, and the next may see at once.
func (w *World) forgive() {
	if d, exists := w.deployments.find(w.name); exists && w.isBlind() {
		w.ghost.total = w.totalReplicas(d.UID)
	}
}

// belongs tells whether a Pod is one of the set's: labels can take it out.
func belongs(pod *corev1.Pod, uid types.UID) bool {
	return isControlledBy(pod, uid) && pod.Labels["app"] != takenOut
}

// fences are maxSurge and maxUnavailable, worked out apart from the core.
func fences(d *appsv1.Deployment) (surge, unavailable int32) {
	rolling, wanted := d.Spec.Strategy.RollingUpdate, int(*d.Spec.Replicas)
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || rolling == nil {
		return 0, 0
	}
	up, _ := intstr.GetScaledValueFromIntOrPercent(rolling.MaxSurge, wanted, true)
	down, _ := intstr.GetScaledValueFromIntOrPercent(rolling.MaxUnavailable, wanted, false)
	if up == 0 && down == 0 {
		down = 1
	}
	return int32(up), int32(min(down, wanted))
}

// checkSetWrite checks what was just written to a ReplicaSet, nil before if it
// is new.
func (w *World) checkSetWrite(before, after *appsv1.ReplicaSet) {
	g := &w.ghost
	if before != nil {
		w.checkOwner("ReplicaSet", before, after)
		if !isControlledBy(before, ownerUID(after)) {
			// What it adopts was sized by others.
			w.ghost.total += *after.Spec.Replicas
		}
		if rollout.Revision(after.Annotations) < rollout.Revision(before.Annotations) {
			w.violate("%s goes back from revision %d to %d", after.Name, rollout.Revision(before.Annotations), rollout.Revision(after.Annotations))
		}
	}
	if g.viewSet != nil {
		g.statusPods[after.ResourceVersion] = g.podsSeen
	}
	if g.view == nil || w.wroteBlindly() || !w.isLive(g.view.UID) {
		return
	}
	from := int32(0)
	if before != nil {
		from = *before.Spec.Replicas
	} else {
		w.checkNewSet(after)
	}
	switch to := *after.Spec.Replicas; {
	case to > from:
		w.checkGrowth(after, from, to)
	case to < from:
		w.checkShrinkage(after, from, to)
	}
}

// isLive tells whether a Deployment is there and is to stay. What happens to
// one that goes, its controller learns late.
func (w *World) isLive(uid types.UID) bool {
	return slices.ContainsFunc(w.deployments.live, func(d *appsv1.Deployment) bool { return d.UID == uid && d.DeletionTimestamp == nil })
}

// checkNewSet: a pause lets no new template in, and a template has one
// ReplicaSet.
func (w *World) checkNewSet(made *appsv1.ReplicaSet) {
	if w.ghost.view.Spec.Paused {
		w.violate("%s is made while the Deployment is paused", made.Name)
	}
	for _, rs := range w.sets.live {
		if rs.UID != made.UID && isControlledBy(rs, w.ghost.view.UID) && rollout.IsCurrent(rs, w.ghost.view) {
			w.violate("%s and %s have the same template", made.Name, rs.Name)
		}
	}
}

// checkGrowth: the replicas that all ReplicaSets are told to have are never
// raised above replicas + maxSurge of the Deployment as the controller has
// seen it. (Users' later changes are none of its fault: it cannot know them.
// The Pods themselves may be more for as long as a ReplicaSet has not carried
// out what it was told to lose; checkPodCreation bounds each of them.)
// Recreate begins no new version while a Pod of an old one may run.
func (w *World) checkGrowth(after *appsv1.ReplicaSet, from, to int32) {
	d := w.ghost.view
	surge, _ := fences(d)
	if total, most := w.totalReplicas(d.UID), *d.Spec.Replicas+surge; total > most {
		w.violate("%s grows from %d to %d: %d replicas in all, and %d are the most", after.Name, from, to, total, most)
	}
	if from > 0 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || !rollout.IsCurrent(after, d) {
		return
	}
	for _, rs := range w.sets.live {
		if rs.UID == after.UID || !isControlledBy(rs, d.UID) {
			continue
		}
		for _, pod := range w.podsOf(rs.UID) {
			if pod.DeletionTimestamp != nil && d.Annotations[rollout.PodReplacementPolicyAnnotation] == rollout.TerminationStarted {
				continue
			}
			if !hasEnded(pod) && !slices.Contains(w.ghost.relabeled, pod.UID) {
				w.violate("Recreate begins %s while %s of %s is there", after.Name, pod.Name, rs.Name)
			}
		}
	}
}

func (w *World) totalReplicas(uid types.UID) int32 {
	total := int32(0)
	for _, rs := range w.sets.live {
		if isControlledBy(rs, uid) {
			total += *rs.Spec.Replicas
		}
	}
	return total
}

// checkShrinkage: telling a ReplicaSet to lose Pods never brings the available
// ones under replicas - maxUnavailable, if all do what they are told. Pods
// that were lost after the statuses which the controller has seen were written
// count as available: it cannot know of them. A change of the Deployment's
// size is shared in proportion, whatever is available, and Recreate keeps
// nothing available.
func (w *World) checkShrinkage(after *appsv1.ReplicaSet, from, to int32) {
	d := w.ghost.view
	if d.Spec.Paused || d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || w.wasRescaled(d) {
		return
	}
	_, unavailable := fences(d)
	before, left := int32(0), int32(0)
	for _, rs := range w.sets.live {
		if !isControlledBy(rs, d.UID) {
			continue
		}
		available := w.knownAvailable(rs)
		left += min(available, *rs.Spec.Replicas)
		if rs.UID == after.UID {
			before += min(available, from)
		} else {
			before += min(available, *rs.Spec.Replicas)
		}
	}
	if least := min(*d.Spec.Replicas-unavailable, before); left < least {
		w.violate("%s shrinks from %d to %d: %d Pods stay available, and %d are the least", after.Name, from, to, left, least)
	}
}

// wasRescaled tells whether the ReplicaSets, as the controller sees them, were
// sized for another size of the Deployment, or do not say.
func (w *World) wasRescaled(d *appsv1.Deployment) bool {
	wanted := fmt.Sprint(*d.Spec.Replicas)
	return slices.ContainsFunc(w.setCache.items, func(rs *appsv1.ReplicaSet) bool {
		return isControlledBy(rs, d.UID) && *rs.Spec.Replicas > 0 && rs.Annotations[rollout.DesiredReplicasAnnotation] != wanted
	})
}

// knownAvailable counts a set's Pods that are available and, by its status as
// cached, known to be, and those whose loss that status cannot know.
func (w *World) knownAvailable(rs *appsv1.ReplicaSet) int32 {
	cached, exists := w.setCache.get(rs.Name)
	if !exists {
		return 0
	}
	known := w.ghost.statusPods[cached.ResourceVersion]
	var counted []types.UID
	for _, pod := range w.pods.live {
		if belongs(pod, rs.UID) && w.isAvailable(pod, w.ghost.leastReady) {
			counted = append(counted, pod.UID)
		}
	}
	return min(int32(len(w.withLosses(counted, rs.UID, known))), cached.Status.AvailableReplicas)
}

// withLosses adds the Pods of a set that were lost since a place in history.
func (w *World) withLosses(counted []types.UID, set types.UID, since int) []types.UID {
	for _, l := range w.ghost.losses {
		if l.set == set && l.at >= since && !slices.Contains(counted, l.pod) {
			counted = append(counted, l.pod)
		}
	}
	return counted
}

// checkOwner: nothing is taken from another owner, and what is given to an
// owner is given to one that was there when the controller looked.
func (w *World) checkOwner(of string, before, after metav1.Object) {
	was, is := metav1.GetControllerOfNoCopy(before), metav1.GetControllerOfNoCopy(after)
	switch {
	case is == nil || was != nil && was.UID == is.UID:
		return
	case was != nil && was.UID != is.UID:
		w.violate("%s %s of %s is taken by %s", of, before.GetName(), was.Name, is.Name)
	case w.ghost.liveRead == is.UID:
	case w.ghost.view != nil && !w.isLive(is.UID):
		w.violate("%s %s is adopted by a Deployment that is gone or going", of, before.GetName())
	case w.ghost.viewSet != nil && !contains(w.sets.live, is.UID):
		w.violate("%s %s is adopted by a ReplicaSet that is gone", of, before.GetName())
	}
}

func ownerUID(o metav1.Object) types.UID {
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return owner.UID
	}
	return ""
}

// checkSetDeletion: an old ReplicaSet that has Pods is never cleaned up, also
// while they are on their way out: nobody would know of them any more.
func (w *World) checkSetDeletion(rs *appsv1.ReplicaSet) {
	if w.wroteBlindly() {
		return
	}
	for _, pod := range w.podsOf(rs.UID) {
		if !hasEnded(pod) && !slices.Contains(w.ghost.relabeled, pod.UID) {
			w.violate("%s is cleaned up, and has %s", rs.Name, pod.Name)
		}
	}
}

// checkDeploymentWrite: a Deployment's revision never goes back.
func (w *World) checkDeploymentWrite(before, after *appsv1.Deployment) {
	if was, is := rollout.Revision(before.Annotations), rollout.Revision(after.Annotations); is < was && !w.wroteBlindly() {
		w.violate("the Deployment goes back from revision %d to %d", was, is)
	}
}

// checkTimeout: no rollout is said to have timed out before it was watched for
// as long as it may take.
func (w *World) checkTimeout(before, after *appsv1.Deployment) {
	if hasTimedOut(before) || !hasTimedOut(after) {
		return
	}
	watched := w.now().Sub(w.ghost.watchedFrom)
	if seconds := *after.Spec.ProgressDeadlineSeconds; watched < time.Duration(seconds)*time.Second {
		w.violate("the Deployment has timed out, and was watched for %s of %d s", watched, seconds)
	}
}

func hasTimedOut(d *appsv1.Deployment) bool {
	return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Reason == rollout.ProgressDeadlineExceeded })
}

// checkPodCreation: a set never makes more Pods than it was to have when its
// controller looked.
func (w *World) checkPodCreation(made *corev1.Pod) {
	rs := w.ghost.viewSet
	if rs == nil || w.wroteBlindly() {
		return
	}
	active := int32(0)
	for _, pod := range w.pods.live {
		if belongs(pod, rs.UID) && isActive(pod) {
			active++
		}
	}
	if active > *rs.Spec.Replicas {
		w.violate("%s is Pod number %d of %s, which wants %d", made.Name, active, rs.Name, *rs.Spec.Replicas)
	}
}

// checkPodDeletion: a set never deletes more than it has too many, as far as
// its controller can know.
func (w *World) checkPodDeletion(gone *corev1.Pod) {
	rs := w.ghost.viewSet
	if rs == nil || w.wroteBlindly() || gone.DeletionTimestamp != nil {
		return
	}
	if !isControlledBy(gone, rs.UID) {
		w.violate("%s deletes %s, which is not its own", rs.Name, gone.Name)
	}
	var counted []types.UID
	for _, pod := range w.pods.live {
		if pod.UID != gone.UID && belongs(pod, rs.UID) && isActive(pod) {
			counted = append(counted, pod.UID)
		}
	}
	if left := int32(len(w.withLosses(counted, rs.UID, w.ghost.podsSeen))); left < *rs.Spec.Replicas {
		w.violate("%s deletes %s: it has %d left, and wants %d", rs.Name, gone.Name, left, *rs.Spec.Replicas)
	}
	w.checkCheapest(gone)
}

// checkCheapest: no Pod that serves is deleted while one is kept that, as the
// controller has seen it, does not. What the bounds promise rests on this.
func (w *World) checkCheapest(gone *corev1.Pod) {
	rs := w.ghost.viewSet
	if w.ghost.refused || w.podCache.seen != w.ghost.podsSeen {
		return
	}
	if cached, exists := w.podCache.get(gone.Name); !exists || !isReady(cached) {
		return
	}
	for _, pod := range w.podCache.items {
		now, exists := w.pods.find(pod.Name)
		if exists && now.DeletionTimestamp == nil && belongs(pod, rs.UID) && isActive(pod) && !isReady(pod) {
			w.violate("%s deletes %s, which is ready, and keeps %s, which is not", rs.Name, gone.Name, pod.Name)
		}
	}
}

// checkState: whatever wrote it, the replicas of all ReplicaSets are no more
// than some Deployment allowed that the controller may still have in its
// cache, or than they were before.
func (w *World) checkState() {
	seen := w.ghost.seen
	w.ghost.seen = w.deploymentCache.seen
	defer w.forget()
	if w.ghost.checked == w.sets.end() {
		return
	}
	w.ghost.checked = w.sets.end()
	d, exists := w.deployments.find(w.name)
	if !exists {
		w.ghost.total = 0
		return
	}
	total := w.totalReplicas(d.UID)
	before := w.ghost.total
	w.ghost.total = total
	if total <= before || w.wroteBlindly() {
		return
	}
	most := int32(0)
	for place := max(0, seen-1); place < w.deployments.end(); place++ {
		seen := w.deployments.at(place).object
		surge, _ := fences(seen)
		most = max(most, *seen.Spec.Replicas+surge)
	}
	if total > most {
		w.violate("there are %d replicas in all, and %d are the most", total, most)
	}
}

// forget drops the histories up to what the caches have.
func (w *World) forget() {
	w.deploymentCache.forget()
	w.setCache.forget()
	w.podCache.forget()
}
