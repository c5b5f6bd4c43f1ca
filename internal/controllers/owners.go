package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// byController is an index of objects by the UID of their controller, and of
// those without one by their namespace.
const byController = "controller"

func orphansIn(namespace string) string { return "orphan/" + namespace }

// indexByController adds the index to an informer, once.
func indexByController(informer cache.SharedIndexInformer) error {
	if _, there := informer.GetIndexer().GetIndexers()[byController]; there {
		return nil
	}
	return informer.AddIndexers(cache.Indexers{byController: func(obj any) ([]string, error) {
		object, err := meta.Accessor(obj)
		if err != nil {
			return nil, err
		}
		if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
			return []string{string(owner.UID)}, nil
		}
		return []string{orphansIn(object.GetNamespace())}, nil
	}})
}

// ownedOrOrphan lists what object controls, and what has no controller in its
// namespace.
func ownedOrOrphan[T any](informer cache.SharedIndexInformer, object metav1.Object) ([]T, error) {
	var found []T
	for _, value := range []string{string(object.GetUID()), orphansIn(object.GetNamespace())} {
		items, err := informer.GetIndexer().ByIndex(byController, value)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			typed, ok := item.(T)
			if !ok {
				return nil, fmt.Errorf("a %T in the informer of %T", item, *new(T))
			}
			found = append(found, typed)
		}
	}
	return found, nil
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
