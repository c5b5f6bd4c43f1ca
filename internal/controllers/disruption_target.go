package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/disruption"
)

// disruptionTargets takes back the condition DisruptionTarget of Pods that
// were to be deleted and were not.
type disruptionTargets struct {
	*base
	*loop
	pods cache.SharedIndexInformer
}

func newDisruptionTargets(b *base) (*loop, error) {
	c := &disruptionTargets{base: b, loop: newLoop("disruption-target", 1, b.log), pods: b.Core().V1().Pods().Informer()}
	c.loop.reconcile = c.reconcile
	err := onAny(c.pods, func(pod *corev1.Pod) {
		if _, held := disruption.TargetUntil(pod); held {
			c.queue.Add(keyOf(pod))
		}
	})
	if err != nil {
		return nil, err
	}
	return c.loop, watchOwn(c.own, c.pods)
}

func (c *disruptionTargets) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.pods.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	until, held := disruption.TargetUntil(item.(*corev1.Pod))
	if !held || until.After(now()) {
		return until, nil
	}
	pod := item.(*corev1.Pod).DeepCopy()
	disruption.ReleaseTarget(pod, now())
	written, err := c.client.CoreV1().Pods(k.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	c.own.Wrote(k, c.pods.GetIndexer(), written)
	return time.Time{}, nil
}
