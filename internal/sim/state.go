package sim

import (
	"slices"

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
	c.ghost.statusPods = w.usedStatusPods()
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

// usedStatusPods is the part of ghost.statusPods that can be asked for yet.
func (w *World) usedStatusPods() map[string]int {
	used := make(map[string]int, len(w.sets.live))
	for _, sets := range [][]*appsv1.ReplicaSet{w.sets.live, w.setCache.items} {
		for _, rs := range sets {
			used[rs.ResourceVersion] = w.ghost.statusPods[rs.ResourceVersion]
		}
	}
	for _, missed := range w.sets.history {
		used[missed.object.ResourceVersion] = w.ghost.statusPods[missed.object.ResourceVersion]
	}
	return used
}

func copyTable[O object](t table[O]) table[O] {
	return table[O]{slices.Clone(t.live), t.history[:len(t.history):len(t.history)], t.forgotten}
}

// hash stands for all that matters of a state: not for names, times and
// versions, which differ from path to path.
func (s Search) hash(n *node) uint64 {
	w := n.world
	d := digest(0).number(n.edits).truth(w.isBlind())
	for of := range kinds {
		d = d.truth(w.behind(of) > 0)
	}
	for _, objects := range [][]*appsv1.Deployment{w.deployments.live, w.deploymentCache.items} {
		d = d.number(len(objects))
		for _, deployment := range objects {
			d = d.deployment(deployment)
			if !s.Abstract {
				d = d.deploymentStatus(deployment)
			}
		}
	}
	for _, objects := range [][]*appsv1.ReplicaSet{w.sets.live, w.setCache.items} {
		d = d.number(len(objects))
		d = inAnyOrder(d, objects, digest.replicaSet)
	}
	d = inAnyOrder(d, w.pods.live, w.podDigest)
	d = inAnyOrder(d, w.podCache.items, func(d digest, pod *corev1.Pod) digest {
		if _, there := w.pods.find(pod.Name); there {
			return d
		}
		return d.text("gone").pod(pod)
	})
	if !s.Abstract {
		d = w.process.dueDigest(d)
	}
	return uint64(w.process.waitDigest(d))
}

func (d digest) deployment(of *appsv1.Deployment) digest {
	return d.text(of.Spec.Template.Spec.Containers[0].Image).text(of.Annotations[rollout.RevisionAnnotation])
}

func (d digest) deploymentStatus(of *appsv1.Deployment) digest {
	s := of.Status
	d = d.number(int(of.Generation - s.ObservedGeneration))
	for _, count := range []int32{s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, s.UnavailableReplicas} {
		d = d.number(int(count))
	}
	d = d.maybe(s.TerminatingReplicas)
	for _, c := range s.Conditions {
		d = d.text(string(c.Type)).text(string(c.Status)).text(c.Reason)
	}
	return d
}

func (d digest) replicaSet(rs *appsv1.ReplicaSet) digest {
	s := rs.Status
	d = d.text(rs.Name).truth(rs.OwnerReferences == nil).number(int(rs.Generation - s.ObservedGeneration))
	for _, count := range []int32{*rs.Spec.Replicas, s.Replicas, s.ReadyReplicas, s.AvailableReplicas} {
		d = d.number(int(count))
	}
	d = d.maybe(s.TerminatingReplicas)
	for _, key := range []string{rollout.RevisionAnnotation, rollout.RevisionHistoryAnnotation, rollout.DesiredReplicasAnnotation, rollout.MaxReplicasAnnotation} {
		d = d.text(rs.Annotations[key])
	}
	return d
}

// podDigest tells a Pod by what it is and what the cache has of it.
func (w *World) podDigest(d digest, pod *corev1.Pod) digest {
	d = d.pod(pod)
	if cached, there := w.podCache.get(pod.Name); !there {
		d = d.text("unseen")
	} else if cached != pod {
		d = d.text("seen as").pod(cached)
	}
	return d
}

func (d digest) pod(pod *corev1.Pod) digest {
	return d.text(pod.OwnerReferences[0].Name).truth(isReady(pod)).truth(pod.DeletionTimestamp != nil)
}

// podText tells a Pod in words, as podDigest does.
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

// dueDigest adds which keys are to be looked at.
func (p *process) dueDigest(d digest) digest {
	for _, q := range []*queue{&p.deploymentQueue, &p.setQueue} {
		d = d.number(len(q.due))
		for _, k := range q.due {
			d = d.text(k.Name)
		}
	}
	return d
}

// waitDigest adds which keys wait for the caches to have their own writes.
func (p *process) waitDigest(d digest) digest {
	d = d.truth(p.deployments.Own.Waits(keyOfName(web)))
	return inAnyOrder(d, p.w.sets.live, func(d digest, rs *appsv1.ReplicaSet) digest {
		return d.text(rs.Name).truth(p.sets.Own.Waits(keyOfName(rs.Name)))
	})
}
