package controllers

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/reconcile"
	"coxswain.dev/cox/internal/replicas"
)

// newSets drives package replicas, for ReplicaSets or for
// ReplicationControllers.
func newSets(b *base, sets cache.SharedIndexInformer, component string, kind reconcile.SetKind) (*loop, error) {
	l := newLoop(kind.Name, 5, b.log)
	pods := b.Core().V1().Pods().Informer()
	if err := indexByController(pods); err != nil {
		return nil, err
	}
	c := &reconcile.Sets{
		Kind: kind, Sets: sets.GetIndexer(), Pods: pods.GetIndexer(),
		PodClient: func(namespace string) reconcile.Client[*corev1.Pod] { return b.client.CoreV1().Pods(namespace) },
		Events:    b.recorder(component), Own: l.own, Now: now,
		RandomName: func() string { return rand.String(replicas.RandomLength) },
		Together:   sideBySide,
	}
	refused := refusedSets{c, l}
	l.reconcile = refused.reconcile
	if err := onAny(sets, func(obj metav1.Object) { l.queue.Add(keyOf(obj)) }); err != nil {
		return nil, err
	}
	if err := onAny(pods, func(pod *corev1.Pod) { l.add(c.Owners(pod)) }); err != nil {
		return nil, err
	}
	if err := refused.watch(b.Core().V1().ResourceQuotas().Informer()); err != nil {
		return nil, err
	}
	return l, watchOwn(l.own, sets, pods)
}

// sideBySide calls f with 0 to count-1, each in a goroutine of its own.
func sideBySide(count int, f func(int)) {
	var group sync.WaitGroup
	for i := range count {
		group.Go(func() { f(i) })
	}
	group.Wait()
}
