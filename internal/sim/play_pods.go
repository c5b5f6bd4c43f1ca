package sim

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/rollout"
)

// roomy nodes take all Pods of a scenario.
var roomy = [3]int{10 * MostPods, 0, 0}

// about is a time, up to a fifth more or less.
func (p *player) about(d time.Duration) time.Duration {
	return d * time.Duration(8000+p.w.pick(4001)) / 10000
}

// place gives the first Pod that has no node one.
func (p *player) place() bool {
	for _, pod := range p.w.pods.live {
		if pod.Spec.NodeName != "" || !isActive(pod) {
			continue
		}
		if !p.w.place(pod) {
			return false
		}
		placed, _ := p.w.pods.find(pod.Name)
		p.w.changePod(placed, func(after *corev1.Pod) { after.Status.Phase = corev1.PodRunning })
		p.readySoon(pod.UID)
		return true
	}
	return false
}

// readySoon lets a Pod become ready when its time has come.
func (p *player) readySoon(uid types.UID) {
	p.after(p.about(p.s.ReadyAfter), func() {
		pod, there := p.find(uid)
		if !there || !isActive(pod) || isReady(pod) || p.neverReady(pod) {
			return
		}
		p.w.setReady(pod, corev1.ConditionTrue)
		p.readyAt[uid] = p.w.elapsed
		p.r.podSays(pod, "becomes ready")
		if wait := p.minReady(); wait > 0 {
			// The API keeps whole seconds.
			p.after(p.w.elapsed.Truncate(time.Second)+wait-p.w.elapsed, func() {
				if pod, there := p.find(uid); there && p.isAvailable(pod) {
					p.r.podSays(pod, "becomes available")
					p.r.bounds.check(p.r)
				}
			})
		}
	})
}

func (p *player) minReady() time.Duration {
	d, exists := p.w.deployments.find(p.w.name)
	if !exists {
		return 0
	}
	return time.Duration(d.Spec.MinReadySeconds) * time.Second
}

// isAvailable tells whether a Pod really has been ready for long enough,
// whatever the machine's clock shows.
func (p *player) isAvailable(pod *corev1.Pod) bool {
	return isActive(pod) && isReady(pod) && p.w.elapsed >= p.readyAt[pod.UID].Truncate(time.Second)+p.minReady()
}

func (p *player) find(uid types.UID) (*corev1.Pod, bool) {
	for _, pod := range p.w.pods.live {
		if pod.UID == uid {
			return pod, true
		}
	}
	return nil, false
}

// neverReady tells whether a Pod is of the first update, which has that fault.
func (p *player) neverReady(pod *corev1.Pod) bool {
	if !p.spoilt() {
		return false
	}
	first := p.s.deployments()[min(1, len(p.s.Updates))]
	for _, rs := range p.w.sets.live {
		if isControlledBy(pod, rs.UID) {
			return rollout.IsCurrent(rs, first)
		}
	}
	return false
}

func (p *player) spoilt() bool {
	for _, f := range p.s.Faults {
		if f.Name == neverReady {
			return true
		}
	}
	return false
}

// watchEnds arranges the ends of Pods that have been told to stop, and tells
// of those that are gone.
func (p *player) watchEnds() {
	if p.podsSeen == p.w.pods.end() {
		return
	}
	p.podsSeen = p.w.pods.end()
	for _, pod := range p.w.pods.live {
		if pod.DeletionTimestamp == nil || p.stopping[pod.UID] {
			continue
		}
		p.stopping[pod.UID] = true
		end := min(p.about(p.s.StopAfter)+preStopSleep(pod), gracePeriod(pod))
		if p.slow[pod.UID] {
			end += time.Duration(30+p.w.pick(31)) * time.Second
		}
		p.after(end, func() {
			if pod, there := p.find(pod.UID); there {
				p.w.removePod(pod)
				p.r.podSays(pod, "is gone")
			}
		})
	}
}

func gracePeriod(pod *corev1.Pod) time.Duration {
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace != nil {
		return time.Duration(*grace) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

// preStopSleep is the longest sleep that a preStop hook states.
func preStopSleep(pod *corev1.Pod) time.Duration {
	longest := int64(0)
	for _, container := range pod.Spec.Containers {
		if l := container.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
			longest = max(longest, l.PreStop.Sleep.Seconds)
		}
	}
	return time.Duration(longest) * time.Second
}
