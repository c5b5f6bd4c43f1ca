package plan

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is a Pod with what will happen to it by itself; a zero time never does.
type pod struct {
	*corev1.Pod
	readyAt, goneAt time.Time
}

// take brings an existing Pod in. One that is ready stays so. One that has
// just been made is taken to become ready in time; one that should have long
// been, or says that it cannot start, never.
func (w *world) take(set types.UID, existing *corev1.Pod) {
	p := &pod{Pod: existing.DeepCopy()}
	switch {
	case p.DeletionTimestamp != nil:
		p.goneAt = w.now.Add(w.in.Model.StopAfter)
		if p.DeletionTimestamp.After(w.now) && p.DeletionTimestamp.Time.Before(p.goneAt) {
			p.goneAt = p.DeletionTimestamp.Time
		}
	case p.Spec.NodeName != "" && !isReady(p.Pod) && failure(p.Pod) == "":
		if ready := p.CreationTimestamp.Add(w.in.Model.ReadyAfter); ready.After(w.now) && !w.staysUnready(w.sets[set]) {
			p.readyAt = ready
		}
	}
	w.pods[set] = append(w.pods[set], p)
}

// staysUnready tells whether Pods of a set never become ready.
func (w *world) staysUnready(rs *appsv1.ReplicaSet) bool {
	return len(w.in.Unready) > 0 && w.isNew(rs)
}

// placePods gives Pods without a node one, where there is room. It returns
// whether it found any.
func (w *world) placePods() bool {
	changed := false
	for _, rs := range w.sorted() {
		for _, p := range w.pods[rs.UID] {
			if p.Spec.NodeName != "" || p.DeletionTimestamp != nil || hasEnded(p.Pod) {
				continue
			}
			node, message := w.rooms.choose(p.Pod)
			if node == "" {
				w.waits.note(noRoom(message))
				continue
			}
			p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
			if !w.staysUnready(rs) {
				p.readyAt = w.now.Add(w.in.Model.ReadyAfter)
			}
			changed = true
		}
	}
	return changed
}

// letPods lets happen to the Pods what is due. It returns whether anything was.
func (w *world) letPods() bool {
	changed := false
	for uid, pods := range w.pods {
		for _, p := range pods {
			if !p.readyAt.IsZero() && !p.readyAt.After(w.now) {
				p.markReady(p.readyAt)
				changed = true
			}
			if p.isGone(w.now) {
				w.rooms.free(p.Pod)
				w.discharge(usageOfPod(p.Pod, w.in.Now))
				changed = true
			}
		}
		w.pods[uid] = slices.DeleteFunc(pods, func(p *pod) bool { return p.isGone(w.now) })
	}
	return changed
}

func (p *pod) isGone(now time.Time) bool { return !p.goneAt.IsZero() && !p.goneAt.After(now) }

func (p *pod) markReady(at time.Time) {
	p.readyAt = time.Time{}
	p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)})
}

// stop marks a Pod as deleted. It is gone when its preStop sleep and the
// model's time have passed, or its grace period has.
func (p *pod) stop(now time.Time, model Model) {
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if p.Spec.TerminationGracePeriodSeconds != nil {
		grace = *p.Spec.TerminationGracePeriodSeconds
	}
	after := model.StopAfter + preStopSleep(&p.Spec)
	if p.Spec.NodeName == "" {
		after = 0 // nothing runs
	}
	p.DeletionTimestamp = &metav1.Time{Time: now.Add(time.Duration(grace) * time.Second)}
	p.goneAt, p.readyAt = now.Add(min(after, time.Duration(grace)*time.Second)), time.Time{}
}

// preStopSleep is the longest sleep that a preStop hook states.
func preStopSleep(spec *corev1.PodSpec) time.Duration {
	longest := int64(0)
	for _, container := range spec.Containers {
		if l := container.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
			longest = max(longest, l.PreStop.Sleep.Seconds)
		}
	}
	return time.Duration(longest) * time.Second
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func hasEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// notReady counts the existing Pods that the plan takes to stay as they are.
func (w *world) notReady() (count int, example *corev1.Pod) {
	for _, rs := range w.sorted() {
		for _, p := range w.pods[rs.UID] {
			if p.DeletionTimestamp == nil && !hasEnded(p.Pod) && p.Spec.NodeName != "" && !isReady(p.Pod) && p.readyAt.IsZero() {
				count, example = count+1, p.Pod
			}
		}
	}
	return count, example
}

// failure is why a container of a Pod does not start, in the Pod's own word,
// such as CrashLoopBackOff; empty if it says nothing of the kind.
func failure(p *corev1.Pod) string {
	for _, status := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
			return waiting.Reason
		}
	}
	return ""
}
