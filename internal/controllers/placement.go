package controllers

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"coxswain.dev/cox/internal/placement"
)

// placements drives package placement.
type placements struct {
	*base
	*loop
	pods, nodes, namespaces cache.SharedIndexInformer

	events record.EventRecorder

	mu sync.Mutex
	// used is what each node's Pods take, and assumed the node of every Pod
	// that counts in it: also of one whose binding the informer has not seen.
	used    map[string]*placement.Used
	assumed map[types.UID]assumedPod
	// guarding is how many of those keep others away by their rules.
	guarding int
	// waiting are Pods that fitted nowhere: any room may help them, and where
	// it is true another Pod's coming too.
	waiting map[key]bool
}

type assumedPod struct {
	node string
	pod  *corev1.Pod
}

func newPlacement(b *base) (*loop, error) {
	c := &placements{
		base: b, loop: newLoop("placement", 8, b.log),
		pods: b.Core().V1().Pods().Informer(), nodes: b.Core().V1().Nodes().Informer(),
		namespaces: b.Core().V1().Namespaces().Informer(),
		events:     b.recorder(corev1.DefaultSchedulerName),
		used:       map[string]*placement.Used{}, assumed: map[types.UID]assumedPod{}, waiting: map[key]bool{},
	}
	c.loop.reconcile = c.reconcile
	_, err := c.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.observe(obj.(*corev1.Pod)) },
		UpdateFunc: func(old, obj any) {
			if before, pod := old.(*corev1.Pod), obj.(*corev1.Pod); before.UID != pod.UID {
				c.release(before.UID) // deleted and made again, and nothing seen in between
			}
			c.observe(obj.(*corev1.Pod))
		},
		DeleteFunc: c.forget,
	})
	if err != nil {
		return nil, err
	}
	if err := onAny(c.nodes, func(*corev1.Node) { c.retryWaiting() }); err != nil {
		return nil, err
	}
	return c.loop, nil
}

// observe counts a Pod on its node, or queues it for one.
func (c *placements) observe(pod *corev1.Pod) {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		c.release(pod.UID)
		c.waitNoMore(keyOf(pod))
	case pod.Spec.NodeName != "":
		c.assume(pod, pod.Spec.NodeName)
		c.waitNoMore(keyOf(pod))
	case pod.DeletionTimestamp == nil && pod.Spec.SchedulerName == corev1.DefaultSchedulerName && len(pod.Spec.SchedulingGates) == 0:
		c.queue.Add(keyOf(pod))
	}
}

func (c *placements) forget(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	if pod, ok := obj.(*corev1.Pod); ok {
		c.release(pod.UID)
		c.waitNoMore(keyOf(pod))
	}
}

func (c *placements) waitNoMore(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, k)
}

func (c *placements) retryWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.waiting {
		c.queue.Add(k)
	}
}

func (c *placements) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.pods.GetStore().GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	var pod *corev1.Pod
	if exists {
		pod = item.(*corev1.Pod)
	}
	if pod == nil || pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil {
		c.waitNoMore(k)
		return time.Time{}, nil
	}
	decision := c.choose(pod, k)
	if decision.Node == "" {
		return time.Time{}, c.markUnschedulable(ctx, pod, decision.Message)
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: decision.Node},
	}
	if err := c.client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{}); err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			err = nil // gone, or bound already: the informer will say so
		}
		c.unbound(pod)
		return time.Time{}, err
	}
	c.events.Eventf(pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %v/%v to %v", pod.Namespace, pod.Name, decision.Node)
	return time.Time{}, nil
}

// markUnschedulable says in the Pod why no node fits, once.
func (c *placements) markUnschedulable(ctx context.Context, pod *corev1.Pod, message string) error {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		LastTransitionTime: metav1.NewTime(now()).Rfc3339Copy(), ObservedGeneration: pod.Generation,
	}
	updated := pod.DeepCopy()
	found := false
	for i, before := range updated.Status.Conditions {
		if before.Type != corev1.PodScheduled {
			continue
		}
		if before.Status == condition.Status && before.Reason == condition.Reason && before.Message == message {
			return nil
		}
		updated.Status.Conditions[i], found = condition, true
	}
	if !found {
		updated.Status.Conditions = append(updated.Status.Conditions, condition)
	}
	c.events.Event(pod, corev1.EventTypeWarning, "FailedScheduling", message)
	_, err := c.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
