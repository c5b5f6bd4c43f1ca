package controllers

import (
	appsv1 "k8s.io/api/apps/v1"

	"coxswain.dev/cox/internal/reconcile"
)

func newReplicaSets(b *base) (*loop, error) {
	informer := b.Apps().V1().ReplicaSets().Informer()
	if err := indexByController(informer); err != nil {
		return nil, err
	}
	return newSets(b, informer, "replicaset-controller", reconcile.ReplicaSets(func(namespace string) reconcile.Client[*appsv1.ReplicaSet] {
		return b.client.AppsV1().ReplicaSets(namespace)
	}))
}
