package core

import (
	"context"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	api "coxswain.dev/cox/internal/apis/core"
)

// allocateIn gives Services their addresses and ports before they are
// validated and stored, and takes them back when they go.
func allocateIn(store *genericregistry.Store, prefix netip.Prefix) {
	a := newAllocator(prefix, func(ctx context.Context) (*corev1.ServiceList, error) {
		obj, err := store.ListPredicate(allNamespaces(ctx), store.PredicateFunc(labels.Everything(), fields.Everything()), nil)
		if err != nil {
			return nil, err
		}
		return obj.(*corev1.ServiceList), nil
	})
	store.BeginCreate = func(ctx context.Context, obj runtime.Object, options *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
		undo, err := begin(ctx, a, obj.(*corev1.Service), nil)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, success bool) {
			if !success || len(options.DryRun) > 0 {
				undo()
			}
		}, nil
	}
	store.BeginUpdate = func(ctx context.Context, obj, old runtime.Object, options *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
		service, before := obj.(*corev1.Service), old.(*corev1.Service)
		undo, err := begin(ctx, a, service, before)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, success bool) {
			if !success || len(options.DryRun) > 0 {
				undo()
				return
			}
			a.giveUp(before, service)
		}, nil
	}
	store.AfterDelete = func(obj runtime.Object, options *metav1.DeleteOptions) {
		if options == nil || len(options.DryRun) == 0 {
			a.release(obj.(*corev1.Service))
		}
	}
}

// begin completes a Service up to what validation expects.
func begin(ctx context.Context, a *allocator, service, old *corev1.Service) (undo func(), err error) {
	api.CompleteService(service, old)
	if errs := api.CompleteFamilies(service, old, a.addresses.family()); len(errs) > 0 {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), service.Name, errs)
	}
	return a.allocate(ctx, service, old)
}
