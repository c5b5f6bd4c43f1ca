package sim

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/reconcile"
	"coxswain.dev/cox/internal/rollout"
)

// clone is a copy of a world that goes its own way.
func (w *World) clone() *World {
	c := *w
	c.deployments, c.sets, c.pods = copyTable(w.deployments), copyTable(w.sets), copyTable(w.pods)
	c.deploymentCache = cache[*appsv1.Deployment]{&c.deployments, slices.Clone(w.deploymentCache.items), w.deploymentCache.seen}
	c.setCache = cache[*appsv1.ReplicaSet]{&c.sets, slices.Clone(w.setCache.items), w.setCache.seen}
	c.podCache = cache[*corev1.Pod]{&c.pods, slices.Clone(w.podCache.items), w.podCache.seen}
	c.ghost.statusPods = maps.Clone(w.ghost.statusPods)
	c.process = newProcess(&c)
	c.process.deploymentQueue = queue{due: slices.Clone(w.process.deploymentQueue.due)}
	c.process.setQueue = queue{due: slices.Clone(w.process.setQueue.due)}
	store := func(s reconcile.Store) reconcile.Store {
		switch s {
		case reconcile.Store(&w.deploymentCache):
			return &c.deploymentCache
		case reconcile.Store(&w.setCache):
			return &c.setCache
		default:
			return &c.podCache
		}
	}
	c.process.deployments.Own = w.process.deployments.Own.Clone(c.process.deploymentQueue.add, store)
	c.process.sets.Own = w.process.sets.Own.Clone(c.process.setQueue.add, store)
	return &c
}

func copyTable[O object](t table[O]) table[O] {
	return table[O]{slices.Clone(t.live), t.history[:len(t.history):len(t.history)]}
}

// hash stands for all that matters of a state: not for names, times and
// versions, which differ from path to path.
func (n *node) hash() uint64 {
	w := n.world
	var text strings.Builder
	fmt.Fprintf(&text, "%d %d %d %d %d|", n.edits, n.crashes, min(1, w.deploymentCache.behind()), min(1, w.setCache.behind()), min(1, w.podCache.behind()))
	for _, objects := range [][]*appsv1.Deployment{w.deployments.live, w.deploymentCache.items} {
		for _, d := range objects {
			fmt.Fprintf(&text, "%s %s %d %v|", d.Spec.Template.Spec.Containers[0].Image, d.Annotations[rollout.RevisionAnnotation], d.Generation-d.Status.ObservedGeneration, statusText(d.Status))
		}
	}
	for _, objects := range [][]*appsv1.ReplicaSet{w.sets.live, w.setCache.items} {
		var lines []string
		for _, rs := range objects {
			s := rs.Status
			lines = append(lines, fmt.Sprint(rs.Name, *rs.Spec.Replicas, rs.Annotations, rs.Generation-s.ObservedGeneration, s.Replicas, s.ReadyReplicas, s.AvailableReplicas, rs.OwnerReferences == nil))
			if s.TerminatingReplicas != nil {
				lines = append(lines, fmt.Sprint(rs.Name, *s.TerminatingReplicas))
			}
		}
		slices.Sort(lines)
		text.WriteString(strings.Join(lines, "|"))
	}
	w.podTexts(&text)
	w.memoryText(&text)
	return maphash.String(hashSeed, text.String())
}

func statusText(s appsv1.DeploymentStatus) string {
	text := fmt.Sprint(s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, s.UnavailableReplicas)
	if s.TerminatingReplicas != nil {
		text += fmt.Sprint(" ", *s.TerminatingReplicas)
	}
	for _, c := range s.Conditions {
		text += fmt.Sprint(" ", c.Type, c.Status, c.Reason)
	}
	return text
}

// podTexts tells each Pod by what it is and what the cache has of it.
func (w *World) podTexts(text *strings.Builder) {
	var lines []string
	for _, pod := range w.pods.live {
		lines = append(lines, w.podText(pod))
	}
	for _, pod := range w.podCache.items {
		if _, there := w.pods.find(pod.Name); !there {
			lines = append(lines, "gone but "+podText(pod))
		}
	}
	slices.Sort(lines)
	text.WriteString(strings.Join(lines, "|"))
}

func (w *World) podText(pod *corev1.Pod) string {
	text := podText(pod)
	if cached, there := w.podCache.get(pod.Name); !there {
		text += " unseen"
	} else if cached != pod {
		text += " seen as " + podText(cached)
	}
	return text
}

func podText(pod *corev1.Pod) string {
	text := "Pod of " + pod.OwnerReferences[0].Name
	if isReady(pod) {
		text += " ready"
	}
	if pod.DeletionTimestamp != nil {
		text += " ending"
	}
	return text
}

// memoryText is what the controllers' process remembers.
func (w *World) memoryText(text *strings.Builder) {
	p := w.process
	for _, k := range p.deploymentQueue.due {
		text.WriteString(" due " + k.Name)
	}
	for _, k := range p.setQueue.due {
		text.WriteString(" due " + k.Name)
	}
	if p.deployments.Own.Waits(keyOfName(web)) {
		text.WriteString(" web waits")
	}
	for _, rs := range w.sets.live {
		if p.sets.Own.Waits(keyOfName(rs.Name)) {
			text.WriteString(" " + rs.Name + " waits")
		}
	}
}
