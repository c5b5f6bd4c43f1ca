package reconcile

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Key names the object that is reconciled.
type Key = types.NamespacedName

// KeyOf is the key of an object.
func KeyOf(object metav1.Object) Key {
	return Key{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// Store is a cache of all objects of one kind. It may lag, and only moves
// forward. client-go's Indexer is one.
type Store interface {
	// GetByKey finds an object by its namespace/name.
	GetByKey(key string) (item any, exists bool, err error)
	// ByIndex lists objects by ByController or ByNamespace, in any order.
	ByIndex(index, value string) ([]any, error)
	// LastStoreSyncResourceVersion is how far the cache has come.
	LastStoreSyncResourceVersion() string
}

// Indexes that the stores have to have.
const (
	// ByController finds objects by the UID of their controller, and those
	// without one by their namespace.
	ByController = "controller"
	// ByNamespace is client-go's own.
	ByNamespace = "namespace"
)

// Client writes objects of one kind in one namespace, as client-go's do.
type Client[O any] interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (O, error)
	Create(ctx context.Context, object O, options metav1.CreateOptions) (O, error)
	Update(ctx context.Context, object O, options metav1.UpdateOptions) (O, error)
	UpdateStatus(ctx context.Context, object O, options metav1.UpdateOptions) (O, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (O, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions) error
}

// Recorder takes the events that users read.
type Recorder interface {
	Event(about runtime.Object, kind, reason, message string)
	Eventf(about runtime.Object, kind, reason, format string, args ...any)
}

// OrphansIn is the value of ByController for what has no controller.
func OrphansIn(namespace string) string { return "orphan/" + namespace }

// IndexController is the index function of ByController.
func IndexController(obj any) ([]string, error) {
	object, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
		return []string{string(owner.UID)}, nil
	}
	return []string{OrphansIn(object.GetNamespace())}, nil
}

// ownedOrOrphan lists what object controls, and what has no controller in its
// namespace.
func ownedOrOrphan[T any](store Store, object metav1.Object) ([]T, error) {
	var found []T
	for _, value := range []string{string(object.GetUID()), OrphansIn(object.GetNamespace())} {
		items, err := store.ByIndex(ByController, value)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			typed, ok := item.(T)
			if !ok {
				return nil, fmt.Errorf("a %T in the cache of %T", item, *new(T))
			}
			found = append(found, typed)
		}
	}
	return found, nil
}

// sameMeaning takes what is left out and what is empty for the same. What is
// the same anyway is found faster.
func sameMeaning[T any](a, b *T) bool {
	return reflect.DeepEqual(a, b) || equality.Semantic.DeepEqual(a, b)
}
