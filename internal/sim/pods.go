package sim

import (
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// nodes is where Pods run, and what limits them.
type nodes struct {
	// room is how many Pods each node holds; quota how many there may be.
	room  [3]int
	quota int
	// hung are Pods that do not end.
	hung []types.UID
	// patient nodes get even badImage to run.
	patient bool
	// abrupt nodes end a Pod at once when it is deleted.
	abrupt bool
}

// plenty is more than any schedule needs.
const plenty = 100

func newNodes() nodes { return nodes{room: [3]int{plenty, plenty, plenty}, quota: plenty} }

// badImage never becomes ready.
const badImage = "bad"

// who deletes a Pod.
type deleter int

const (
	byController deleter = iota
	byOthers
)

// makePod stores a new Pod.
func (w *World) makePod(sent *corev1.Pod) *corev1.Pod {
	made := *sent
	made.UID, made.CreationTimestamp, made.ResourceVersion = w.nextUID(), w.timestamp(), w.nextVersion()
	made.Status.Phase = corev1.PodPending
	w.pods.store(&made)
	return &made
}

// changePod stores a changed copy of a Pod.
func (w *World) changePod(before *corev1.Pod, change func(after *corev1.Pod)) *corev1.Pod {
	after := *before
	change(&after)
	after.ResourceVersion = w.nextVersion()
	w.pods.store(&after)
	return &after
}

// deletePod asks a Pod to end. One that was never placed is gone at once.
func (w *World) deletePod(pod *corev1.Pod, by deleter) {
	if pod.DeletionTimestamp != nil {
		return
	}
	if by == byOthers {
		w.ghost.lost(w, pod)
	}
	if pod.Spec.NodeName == "" || w.nodes.abrupt {
		w.removePod(pod)
		return
	}
	w.changePod(pod, func(after *corev1.Pod) {
		at := w.timestamp()
		after.DeletionTimestamp = &at
	})
}

func (w *World) removePod(pod *corev1.Pod) {
	w.pods.remove(pod, w.nextVersion())
	w.process.quotaFreed()
}

// runPods lets one Pod that has something to do get a step further.
func (w *World) runPods() bool {
	count := len(w.pods.live)
	if count == 0 {
		return false
	}
	first := w.pick(count)
	for i := range count {
		if w.runPod(w.pods.live[(first+i)%count]) {
			return true
		}
	}
	return false
}

// runPod is scheduler and kubelet: placed, running, ready; or ended.
func (w *World) runPod(pod *corev1.Pod) bool {
	switch {
	case slices.Contains(w.nodes.hung, pod.UID):
		return false
	case pod.DeletionTimestamp != nil:
		w.removePod(pod)
		w.say("kubelet: %s is gone", pod.Name)
	case hasEnded(pod):
		return false
	case pod.Spec.NodeName == "":
		return w.place(pod)
	case pod.Status.Phase == corev1.PodPending:
		w.changePod(pod, func(after *corev1.Pod) { after.Status.Phase = corev1.PodRunning })
		w.say("kubelet: %s runs", pod.Name)
	case !isReady(pod) && (w.nodes.patient || pod.Spec.Containers[0].Image != badImage):
		w.setReady(pod, corev1.ConditionTrue)
		w.say("kubelet: %s is ready", pod.Name)
	default:
		return false
	}
	return true
}

// place binds a Pod to the first node with room.
func (w *World) place(pod *corev1.Pod) bool {
	for i, room := range w.nodes.room {
		name := "n" + strconv.Itoa(i)
		for _, other := range w.pods.live {
			if other.Spec.NodeName == name && !hasEnded(other) {
				room--
			}
		}
		if room > 0 {
			w.changePod(pod, func(after *corev1.Pod) { after.Spec.NodeName = name })
			w.say("scheduler: %s goes to %s", pod.Name, name)
			return true
		}
	}
	return false
}

func (w *World) setReady(pod *corev1.Pod, status corev1.ConditionStatus) {
	w.changePod(pod, func(after *corev1.Pod) {
		after.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: w.timestamp()}}
	})
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// isActive tells whether a Pod is one that its set counts.
func isActive(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && !hasEnded(pod) }

func isReady(pod *corev1.Pod) bool {
	return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Status == corev1.ConditionTrue
}

func (w *World) isAvailable(pod *corev1.Pod, minReadySeconds int32) bool {
	if !isActive(pod) || !isReady(pod) {
		return false
	}
	if minReadySeconds == 0 {
		return true // whatever the clock shows
	}
	since := pod.Status.Conditions[0].LastTransitionTime
	return !since.Add(time.Duration(minReadySeconds) * time.Second).After(w.now())
}

func isControlledBy(o metav1.Object, uid types.UID) bool {
	owner := metav1.GetControllerOfNoCopy(o)
	return owner != nil && owner.UID == uid
}
