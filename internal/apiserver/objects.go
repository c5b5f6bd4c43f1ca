package apiserver

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// storedObjects reads objects of the core group straight from their storages,
// for the parts of the server that work below the request handlers.
type storedObjects struct {
	storages atomic.Pointer[map[string]rest.Storage]
}

// set gives the core group's storages once they are built.
func (o *storedObjects) set(storages map[string]rest.Storage) { o.storages.Store(&storages) }

// Get returns an object by resource and name: from the watch cache, or from
// the store if the cache does not know it yet.
func (o *storedObjects) Get(ctx context.Context, resource, namespace, name string) (metav1.Object, error) {
	storages := o.storages.Load()
	if storages == nil {
		return nil, errors.NewServiceUnavailable("the API server is not ready yet")
	}
	getter, ok := (*storages)[resource].(rest.Getter)
	if !ok {
		return nil, fmt.Errorf("%s are not served", resource)
	}
	// The storages name in their errors what the request is about.
	ctx = request.WithRequestInfo(request.WithNamespace(ctx, namespace), &request.RequestInfo{Resource: resource})
	obj, err := getter.Get(ctx, name, &metav1.GetOptions{ResourceVersion: "0"})
	if errors.IsNotFound(err) {
		obj, err = getter.Get(ctx, name, &metav1.GetOptions{})
	}
	if err != nil {
		return nil, err
	}
	return meta.Accessor(obj)
}

// List returns objects from the watch cache, as they are selected by options.
// An empty namespace means all of them.
func (o *storedObjects) List(ctx context.Context, resource, namespace string, options *metainternal.ListOptions) (runtime.Object, error) {
	storages := o.storages.Load()
	if storages == nil {
		return nil, errors.NewServiceUnavailable("the API server is not ready yet")
	}
	lister, ok := (*storages)[resource].(rest.Lister)
	if !ok {
		return nil, fmt.Errorf("%s are not served", resource)
	}
	ctx = request.WithRequestInfo(request.WithNamespace(ctx, namespace), &request.RequestInfo{Resource: resource})
	return lister.List(ctx, &metainternal.ListOptions{
		LabelSelector: options.LabelSelector, FieldSelector: options.FieldSelector, ResourceVersion: "0",
	})
}
