package controllers

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/reconcile"
)

// newDeployments drives package rollout.
func newDeployments(b *base) (*loop, error) {
	begun := now()
	l := newLoop("deployment", 5, b.log)
	deployments, sets, pods := b.Apps().V1().Deployments().Informer(), b.Apps().V1().ReplicaSets().Informer(), b.Core().V1().Pods().Informer()
	for _, informer := range []cache.SharedIndexInformer{sets, pods} {
		if err := indexByController(informer); err != nil {
			return nil, err
		}
	}
	c := &reconcile.Deployments{
		Deployments: deployments.GetIndexer(), Sets: sets.GetIndexer(), Pods: pods.GetIndexer(),
		DeploymentClient: func(namespace string) reconcile.Client[*appsv1.Deployment] {
			return b.client.AppsV1().Deployments(namespace)
		},
		SetClient: func(namespace string) reconcile.Client[*appsv1.ReplicaSet] {
			return b.client.AppsV1().ReplicaSets(namespace)
		},
		Events: b.recorder("deployment-controller"), Own: l.own, Now: now,
		Steady: func() time.Duration { return time.Since(begun) },
	}
	l.reconcile = c.Reconcile
	if err := onAny(deployments, func(d *appsv1.Deployment) { l.queue.Add(keyOf(d)) }); err != nil {
		return nil, err
	}
	if err := onAny(sets, func(rs *appsv1.ReplicaSet) { l.add(c.Owners(rs)) }); err != nil {
		return nil, err
	}
	if err := onAny(pods, func(pod *corev1.Pod) { l.add(c.Waiting(pod)) }); err != nil {
		return nil, err
	}
	return l, watchOwn(l.own, deployments, sets)
}
