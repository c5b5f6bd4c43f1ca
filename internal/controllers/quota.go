package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/quota"
)

// quotas counts what is used of every ResourceQuota. Admission charges before
// an object is stored; what goes, and what was charged and never stored, is
// given back here.
type quotas struct {
	*base
	*loop
	quotas, pods, services cache.SharedIndexInformer
	counters               *objectCounters
	charges                *charges
}

func newQuotas(b *base) (*loop, error) {
	core := b.Core().V1()
	c := &quotas{
		base: b, loop: newLoop("quota", 2, b.log), quotas: core.ResourceQuotas().Informer(),
		pods: core.Pods().Informer(), services: core.Services().Informer(), charges: newCharges(),
	}
	c.counters = newObjectCounters(b, c.recount)
	c.loop.reconcile = c.reconcile
	if err := onAny(c.quotas, func(q *corev1.ResourceQuota) { c.queue.Add(keyOf(q)) }); err != nil {
		return nil, err
	}
	if err := onAny(c.pods, func(p *corev1.Pod) { c.recount(p.Namespace) }); err != nil {
		return nil, err
	}
	if err := onAny(c.services, func(s *corev1.Service) { c.recount(s.Namespace) }); err != nil {
		return nil, err
	}
	return c.loop, watchOwn(c.own, c.quotas)
}

// recount looks at the quotas of a namespace again. Most have none.
func (c *quotas) recount(namespace string) {
	items, err := c.quotas.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return
	}
	for _, item := range items {
		c.queue.Add(keyOf(item.(*corev1.ResourceQuota)))
	}
}

func (c *quotas) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.quotas.GetStore().GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	if !exists {
		c.charges.forget(k)
		return time.Time{}, nil
	}
	before := item.(*corev1.ResourceQuota)
	settled := c.charges.settled(k, before.Status.Used)
	used, wakeAt, err := c.used(ctx, before)
	if err != nil {
		return time.Time{}, err
	}
	status := corev1.ResourceQuotaStatus{Hard: before.Spec.Hard, Used: used}
	if equality.Semantic.DeepEqual(before.Status, status) {
		return wakeAt, nil
	}
	if lowers(before.Status.Used, used) && now().Before(settled) {
		return sooner(wakeAt, settled), nil
	}
	changed := before.DeepCopy()
	changed.Status = status
	written, err := c.client.CoreV1().ResourceQuotas(k.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	c.charges.own(k, written.Status.Used)
	c.own.Wrote(k, c.quotas.GetIndexer(), written)
	return wakeAt, nil
}

// used adds up what there is of everything that the quota limits, and when to
// look again although nothing changes.
func (c *quotas) used(ctx context.Context, of *corev1.ResourceQuota) (corev1.ResourceList, time.Time, error) {
	var wakeAt time.Time
	total := corev1.ResourceList{}
	scopes := quota.Scopes(&of.Spec)
	for name := range of.Spec.Hard {
		total[name] = resource.Quantity{Format: resource.DecimalSI}
	}
	add := func(usage corev1.ResourceList) {
		for name, quantity := range usage {
			if sum, limited := total[name]; limited {
				sum.Add(quantity)
				total[name] = sum
			}
		}
	}
	for _, pod := range inNamespace[*corev1.Pod](c.pods, of.Namespace) {
		if !inScopes(scopes, pod) {
			continue
		}
		add(quota.PodUsage(pod, now()))
		if end, ends := quota.PodEnd(pod); ends && end.After(now()) {
			wakeAt = sooner(wakeAt, end.Add(time.Second))
		}
	}
	if len(scopes) > 0 {
		return total, wakeAt, nil // only Pods are in scopes
	}
	for _, service := range inNamespace[*corev1.Service](c.services, of.Namespace) {
		add(quota.ServiceUsage(service))
	}
	for name := range of.Spec.Hard {
		counted, ok := quota.Counted(name)
		if !ok || quota.OfPods(name) || quota.OfServices(name) {
			continue
		}
		count, err := c.counters.count(ctx, counted, of.Namespace)
		if err != nil {
			return nil, time.Time{}, err
		}
		total[name] = *resource.NewQuantity(int64(count), resource.DecimalSI)
	}
	return total, wakeAt, nil
}

func inScopes(scopes []corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod) bool {
	for _, scope := range scopes {
		if !quota.PodInScope(scope, pod, api.QOSClass) {
			return false
		}
	}
	return true
}

func inNamespace[T any](informer cache.SharedIndexInformer, namespace string) []T {
	items, err := informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil // there is no such index: the factory always makes it
	}
	typed := make([]T, 0, len(items))
	for _, item := range items {
		typed = append(typed, item.(T))
	}
	return typed
}

// lowers tells whether the new amounts give something back.
func lowers(before, after corev1.ResourceList) bool {
	for name, quantity := range before {
		if now, ok := after[name]; ok && now.Cmp(quantity) < 0 {
			return true
		}
	}
	return false
}

// sooner is the earlier of two times of which the zero one means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
