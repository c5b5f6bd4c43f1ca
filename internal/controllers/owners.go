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
		if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		if typed, ok := obj.(T); ok {
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

func keyOf(object metav1.Object) key {
	return key{Namespace: object.GetNamespace(), Name: object.GetName()}
}
