package controllers

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
	"k8s.io/klog/v2"
)

const (
	endpointSliceController = "endpointslice-controller.k8s.io"
	maxEndpointsPerSlice    = 100
	// byService is an index of EndpointSlices by the key of their Service.
	byService = "service"
)

// endpointSlices keeps the EndpointSlices of every Service with a selector,
// with Kubernetes' own library.
type endpointSlices struct {
	*base
	*loop
	services, pods, slices cache.SharedIndexInformer
	reconciler             *endpointslice.Reconciler
	tracker                *endpointsliceutil.EndpointSliceTracker
}

func newEndpointSlices(b *base) (*loop, error) {
	c := &endpointSlices{
		base: b, loop: newLoop("endpointslice", 5, b.log),
		services: b.Core().V1().Services().Informer(), pods: b.Core().V1().Pods().Informer(),
		slices:  b.Discovery().V1().EndpointSlices().Informer(),
		tracker: endpointsliceutil.NewEndpointSliceTracker(),
	}
	c.reconciler = endpointslice.NewReconciler(b.client, b.Core().V1().Nodes().Lister(), maxEndpointsPerSlice, c.tracker, nil,
		b.recorder("endpoint-slice-controller"), endpointSliceController)
	c.loop.reconcile = c.reconcile
	if err := c.slices.AddIndexers(cache.Indexers{byService: serviceOfSlice}); err != nil {
		return nil, err
	}
	if err := onAny(c.services, func(s *corev1.Service) { c.queue.Add(keyOf(s)) }); err != nil {
		return nil, err
	}
	if err := watchPodsOfServices(b, c.queue.Add); err != nil {
		return nil, err
	}
	_, err := c.slices.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.sliceChanged(obj, false) },
		UpdateFunc: func(_, obj any) { c.sliceChanged(obj, false) },
		DeleteFunc: func(obj any) { c.sliceChanged(obj, true) },
	})
	return c.loop, err
}

func serviceOfSlice(obj any) ([]string, error) {
	slice, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

// sliceChanged looks again at the Service of a slice: somebody else may have
// changed it, or a reconciliation may be waiting for the event of our own last
// write. Where neither is so, looking again writes nothing.
func (c *endpointSlices) sliceChanged(obj any, deleted bool) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	slice, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelManagedBy] != endpointSliceController {
		return
	}
	if deleted {
		c.tracker.HandleDeletion(slice)
	}
	if name := slice.Labels[discoveryv1.LabelServiceName]; name != "" {
		c.queue.Add(key{Namespace: slice.Namespace, Name: name})
	}
}

func (c *endpointSlices) reconcile(_ context.Context, k key) (time.Time, error) {
	item, exists, err := c.services.GetStore().GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	if !exists {
		// The slices go with the Service that owns them.
		c.reconciler.DeleteService(k.Namespace, k.Name)
		c.tracker.DeleteService(k.Namespace, k.Name)
		return time.Time{}, nil
	}
	service := item.(*corev1.Service)
	if service.Spec.Type == corev1.ServiceTypeExternalName || service.Spec.Selector == nil {
		return time.Time{}, nil
	}
	pods, err := c.Core().V1().Pods().Lister().Pods(k.Namespace).List(labels.SelectorFromSet(service.Spec.Selector))
	if err != nil {
		return time.Time{}, err
	}
	existing, err := c.slices.GetIndexer().ByIndex(byService, k.String())
	if err != nil {
		return time.Time{}, err
	}
	var own []*discoveryv1.EndpointSlice
	for _, item := range existing {
		if slice := item.(*discoveryv1.EndpointSlice); slice.Labels[discoveryv1.LabelManagedBy] == endpointSliceController {
			own = append(own, slice)
		}
	}
	own = slices.DeleteFunc(own, func(slice *discoveryv1.EndpointSlice) bool { return slice.DeletionTimestamp != nil })
	if c.tracker.StaleSlices(service, own) {
		return time.Time{}, nil // the event of our own last write comes yet
	}
	return time.Time{}, c.reconciler.Reconcile(klog.Background(), service, pods, own, time.Now())
}

// watchPodsOfServices calls add for every Service whose endpoints a Pod's
// event may change.
func watchPodsOfServices(b *base, add func(key)) error {
	lister := b.Core().V1().Services().Lister()
	changed := func(old, obj any) {
		projection := endpointsliceutil.GetPodUpdateProjectionKey(old, obj)
		if projection == nil {
			return
		}
		services, err := endpointsliceutil.GetServicesToUpdate(lister, projection)
		if err != nil {
			b.log.Error("finding the Services of a Pod", "error", err)
			return
		}
		for service := range services {
			_, name, err := cache.SplitMetaNamespaceKey(service)
			if err != nil {
				b.log.Error("finding the Services of a Pod", "error", err)
				continue
			}
			add(key{Namespace: projection.Namespace, Name: name})
		}
	}
	_, err := b.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { changed(nil, obj) },
		UpdateFunc: changed,
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			changed(obj, nil)
		},
	})
	return err
}
