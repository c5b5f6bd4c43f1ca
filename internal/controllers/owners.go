package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/reconcile"
)

// indexByController adds the index that package reconcile needs to an
// informer, once.
func indexByController(informer cache.SharedIndexInformer) error {
	if _, there := informer.GetIndexer().GetIndexers()[reconcile.ByController]; there {
		return nil
	}
	return informer.AddIndexers(cache.Indexers{reconcile.ByController: reconcile.IndexController})
}

// onAny calls f with the object of every event, and with both objects of an
// update. A deletion that was missed counts as one.
func onAny[T any](informer cache.SharedIndexInformer, f func(T)) error {
	call := func(obj any) {
		if typed, ok := lastSeen(obj).(T); ok {
			f(typed)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    call,
		UpdateFunc: func(old, obj any) { call(old); call(obj) },
		DeleteFunc: call,
	})
	return err
}

// lastSeen is the object of a deletion, which may have been missed.
func lastSeen(obj any) any {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		return unknown.Obj
	}
	return obj
}

func keyOf(object metav1.Object) key {
	return key{Namespace: object.GetNamespace(), Name: object.GetName()}
}
