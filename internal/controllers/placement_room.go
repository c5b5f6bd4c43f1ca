package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/placement"
)

// choose decides, and takes the room on the chosen node before the next Pod is
// looked at.
func (c *placements) choose(pod *corev1.Pod, k key) placement.Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, bound := c.assumed[pod.UID]; bound {
		return placement.Decision{Node: c.assumed[pod.UID].node}
	}
	decision := placement.Decide(c.snapshot(pod))
	if decision.Node == "" {
		c.waiting[k] = placement.NeedsPlaced(pod)
		return decision
	}
	delete(c.waiting, k)
	c.take(pod, decision.Node)
	return decision
}

// snapshot is what the core sees. The Pods on the nodes are listed only if
// somebody's rules speak of them.
func (c *placements) snapshot(pod *corev1.Pod) placement.Snapshot {
	snapshot := placement.Snapshot{Pod: pod}
	for _, item := range c.nodes.GetStore().List() {
		node := placement.Node{Node: item.(*corev1.Node)}
		if used := c.used[node.Name]; used != nil {
			node.Used = *used
		}
		snapshot.Nodes = append(snapshot.Nodes, node)
	}
	if c.guarding == 0 && !placement.NeedsPlaced(pod) {
		return snapshot
	}
	for _, on := range c.assumed {
		snapshot.Placed = append(snapshot.Placed, placement.Placed{Pod: on.pod, Node: on.node})
	}
	snapshot.Namespaces = map[string]labels.Set{}
	for _, item := range c.namespaces.GetStore().List() {
		namespace := item.(*corev1.Namespace)
		snapshot.Namespaces[namespace.Name] = namespace.Labels
	}
	return snapshot
}

// assume counts a Pod on its node, as it is now: what it takes and its labels
// may have changed.
func (c *placements) assume(pod *corev1.Pod, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(pod, node)
}

// take is assume for those who hold mu.
func (c *placements) take(pod *corev1.Pod, node string) {
	if before, known := c.assumed[pod.UID]; known {
		c.count(before, -1)
	} else {
		for k, forOthers := range c.waiting {
			if forOthers {
				c.queue.Add(k)
			}
		}
	}
	c.assumed[pod.UID] = assumedPod{node, pod}
	c.count(c.assumed[pod.UID], 1)
}

// count takes a Pod's room on its node, or gives it back.
func (c *placements) count(on assumedPod, sign int64) {
	used := c.used[on.node]
	if used == nil {
		used = &placement.Used{}
		c.used[on.node] = used
	}
	used.Add(on.pod, sign)
	if used.Pods == 0 {
		delete(c.used, on.node) // the node may be gone
	}
	if placement.Guards(on.pod) {
		c.guarding += int(sign)
	}
}

// release counts a Pod out, and gives those that wait another chance.
func (c *placements) release(uid types.UID) {
	c.mu.Lock()
	before, known := c.assumed[uid]
	if known {
		delete(c.assumed, uid)
		c.count(before, -1)
	}
	c.mu.Unlock()
	if known {
		c.retryWaiting()
	}
}

// unbound counts a Pod out whose binding failed, unless it is bound all the
// same: the answer may have been lost, or another was faster.
func (c *placements) unbound(pod *corev1.Pod) {
	item, exists, err := c.pods.GetStore().GetByKey(keyOf(pod).String())
	if err == nil && exists {
		if now := item.(*corev1.Pod); now.UID == pod.UID && now.Spec.NodeName != "" {
			c.assume(now, now.Spec.NodeName)
			return
		}
	}
	c.release(pod.UID)
}
