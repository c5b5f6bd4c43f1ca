package controllers

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// objectCounters count objects of any kind by namespace. A kind is watched,
// with its metadata only, from the moment some quota limits it.
type objectCounters struct {
	*base
	// changed is called with a namespace in which there is one more or less.
	changed func(namespace string)

	mu sync.Mutex
	// informers are nil for what is not served: that does not change while
	// the program runs.
	informers map[schema.GroupResource]cache.SharedIndexInformer
}

func newObjectCounters(b *base, changed func(string)) *objectCounters {
	return &objectCounters{base: b, changed: changed, informers: map[schema.GroupResource]cache.SharedIndexInformer{}}
}

// count returns how many objects there are. The first call for a resource
// waits until all have been read; watching them goes on until ctx ends.
func (c *objectCounters) count(ctx context.Context, resource schema.GroupResource, namespace string) (int, error) {
	informer, err := c.informer(ctx, resource)
	if err != nil || informer == nil {
		return 0, err
	}
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return 0, fmt.Errorf("counting %s: %w", resource, context.Cause(ctx))
	}
	keys, err := informer.GetIndexer().IndexKeys(cache.NamespaceIndex, namespace)
	return len(keys), err
}

func (c *objectCounters) informer(ctx context.Context, resource schema.GroupResource) (cache.SharedIndexInformer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if informer, known := c.informers[resource]; known {
		return informer, nil
	}
	served, err := deletableResources(c.client.Discovery())
	if err != nil {
		return nil, fmt.Errorf("counting %s: %w", resource, err)
	}
	c.informers[resource] = nil
	for _, candidate := range served {
		if candidate.GroupResource() != resource || !candidate.namespaced {
			continue
		}
		indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
		informer := metadatainformer.NewFilteredMetadataInformer(c.metadata, candidate.GroupVersionResource, metav1.NamespaceAll, 0, indexers, nil).Informer()
		if err := informer.SetTransform(DropManagedFields); err != nil {
			return nil, err
		}
		if err := onAny(informer, func(object *metav1.PartialObjectMetadata) { c.changed(object.Namespace) }); err != nil {
			return nil, err
		}
		go informer.Run(ctx.Done())
		c.informers[resource] = informer
	}
	return c.informers[resource], nil
}
