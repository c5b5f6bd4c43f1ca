package controllers

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/disruption"
)

// disruptions drives package disruption for every PodDisruptionBudget.
type disruptions struct {
	*base
	*loop
	events        record.EventRecorder
	budgets, pods cache.SharedIndexInformer
	// scaled are the workloads that say how many Pods they want, by kind.
	scaled map[string]cache.SharedIndexInformer
	// several are the Pods of which an event tells that more than one budget
	// covers them: once is enough.
	several sync.Map // types.UID
}

func newDisruptions(b *base) (*loop, error) {
	c := &disruptions{
		base: b, loop: newLoop("disruption", 2, b.log), events: b.recorder("controllermanager"),
		budgets: b.Policy().V1().PodDisruptionBudgets().Informer(), pods: b.Core().V1().Pods().Informer(),
		scaled: map[string]cache.SharedIndexInformer{
			"Deployment": b.Apps().V1().Deployments().Informer(), "ReplicaSet": b.Apps().V1().ReplicaSets().Informer(),
			"ReplicationController": b.Core().V1().ReplicationControllers().Informer(),
		},
	}
	c.loop.reconcile = c.reconcile
	if err := onAny(c.budgets, func(budget *policyv1.PodDisruptionBudget) { c.queue.Add(keyOf(budget)) }); err != nil {
		return nil, err
	}
	if err := c.watchPods(); err != nil {
		return nil, err
	}
	for _, workloads := range c.scaled {
		if err := c.watchScale(workloads); err != nil {
			return nil, err
		}
	}
	return c.loop, watchOwn(c.own, c.budgets)
}

func (c *disruptions) watchPods() error {
	_, err := c.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.look(obj.(*corev1.Pod)) },
		UpdateFunc: func(old, obj any) { c.cover(old.(*corev1.Pod)); c.look(obj.(*corev1.Pod)) },
		DeleteFunc: func(obj any) {
			if pod, ok := lastSeen(obj).(*corev1.Pod); ok {
				c.cover(pod)
				c.several.Delete(pod.UID)
			}
		},
	})
	return err
}

// cover queues the budgets of a Pod, and returns how many there are. Most have
// none.
func (c *disruptions) cover(pod *corev1.Pod) (covering int) {
	for _, budget := range inNamespace[*policyv1.PodDisruptionBudget](c.budgets, pod.Namespace) {
		if disruption.Covers(budget, pod) {
			covering++
			c.queue.Add(keyOf(budget))
		}
	}
	return covering
}

// look does so too, and tells what nobody can decide.
func (c *disruptions) look(pod *corev1.Pod) {
	if c.cover(pod) < 2 {
		return
	}
	if _, told := c.several.LoadOrStore(pod.UID, true); !told {
		c.events.Eventf(pod, corev1.EventTypeWarning, "MultiplePodDisruptionBudgets",
			"Pod %q/%q matches multiple PodDisruptionBudgets.  It cannot be evicted.", pod.Namespace, pod.Name)
	}
}

// watchScale looks at a namespace's budgets again when a workload wants
// another number of Pods, or is gone. What becomes of the Pods is told by them.
func (c *disruptions) watchScale(workloads cache.SharedIndexInformer) error {
	look := func(obj any) {
		if workload, ok := lastSeen(obj).(metav1.Object); ok {
			for _, budget := range inNamespace[*policyv1.PodDisruptionBudget](c.budgets, workload.GetNamespace()) {
				c.queue.Add(keyOf(budget))
			}
		}
	}
	_, err := workloads.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: look, DeleteFunc: look,
		UpdateFunc: func(old, obj any) {
			if scaleOf(old) != scaleOf(obj) {
				look(obj)
			}
		},
	})
	return err
}

// scaleOf is what package disruption has to know of a workload.
func scaleOf(obj any) disruption.Workload {
	switch workload := obj.(type) {
	case *appsv1.Deployment:
		return disruption.Workload{Replicas: ptr.Deref(workload.Spec.Replicas, 1)}
	case *appsv1.ReplicaSet:
		scale := disruption.Workload{Replicas: ptr.Deref(workload.Spec.Replicas, 1)}
		if owner := metav1.GetControllerOfNoCopy(workload); owner != nil && owner.Kind == "Deployment" {
			scale.Owner = owner.UID
		}
		return scale
	case *corev1.ReplicationController:
		return disruption.Workload{Replicas: ptr.Deref(workload.Spec.Replicas, 1)}
	}
	return disruption.Workload{}
}

func (c *disruptions) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.budgets.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	budget := item.(*policyv1.PodDisruptionBudget)
	pods := inNamespace[*corev1.Pod](c.pods, k.Namespace)
	decided := disruption.Decide(disruption.Snapshot{Now: now(), Budget: budget, Pods: pods, Workloads: c.workloads(pods)})
	if !decided.Changed {
		return decided.WakeAt, nil
	}
	changed := budget.DeepCopy()
	changed.Status = decided.Status
	written, err := c.client.PolicyV1().PodDisruptionBudgets(k.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err // a conflict where an eviction came between: it is seen next time
	}
	c.own.Wrote(k, c.budgets.GetIndexer(), written)
	for _, event := range decided.Events {
		var about runtime.Object = budget
		if event.Pod != nil {
			about = event.Pod
		}
		c.events.Event(about, event.Type, event.Reason, event.Message)
	}
	return decided.WakeAt, nil
}

// workloads are the controllers of Pods, and the Deployments of those.
func (c *disruptions) workloads(pods []*corev1.Pod) map[types.UID]disruption.Workload {
	found := map[types.UID]disruption.Workload{}
	add := func(of metav1.Object) metav1.Object {
		owner := metav1.GetControllerOfNoCopy(of)
		if owner == nil {
			return nil
		}
		if _, known := found[owner.UID]; known {
			return nil
		}
		workload := c.workload(of.GetNamespace(), owner)
		if workload != nil {
			found[owner.UID] = scaleOf(workload)
		}
		return workload
	}
	for _, pod := range pods {
		if workload := add(pod); workload != nil {
			add(workload)
		}
	}
	return found
}

// workload is the object that an owner reference means; nil if it is gone, or
// another by now.
func (c *disruptions) workload(namespace string, owner *metav1.OwnerReference) metav1.Object {
	informer, served := c.scaled[owner.Kind]
	if !served {
		return nil
	}
	item, exists, err := informer.GetStore().GetByKey(key{Namespace: namespace, Name: owner.Name}.String())
	if err != nil || !exists {
		return nil
	}
	if workload := item.(metav1.Object); workload.GetUID() == owner.UID {
		return workload
	}
	return nil
}
