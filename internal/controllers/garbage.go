package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

// byOwner is an index of objects by the UIDs of all of their owners.
const byOwner = "owner"

// garbageWorkers is how many objects are looked at side by side.
const garbageWorkers = 16

// garbageCollector deletes what has lost its owners, and carries out
// foreground and orphaning deletions
// (https://kubernetes.io/docs/concepts/architecture/garbage-collection/).
// It watches the metadata of every resource that can be deleted.
type garbageCollector struct {
	log     *slog.Logger
	events  record.EventRecorder
	client  metadata.Interface
	factory metadatainformer.SharedInformerFactory
	watched []watched
	byKind  map[schema.GroupKind]watched
	queue   workqueue.TypedRateLimitingInterface[garbageKey]
	group   sync.WaitGroup
}

// watched is one resource and its informer.
type watched struct {
	deletable
	informer cache.SharedIndexInformer
}

// garbageKey names one object to look at.
type garbageKey struct {
	resource schema.GroupVersionResource
	key
	uid types.UID
}

func newGarbageCollector(b *base) (*garbageCollector, error) {
	resources, err := deletableResources(b.client.Discovery())
	if err != nil {
		return nil, err
	}
	g := &garbageCollector{
		log: b.log.With("controller", "garbage"), events: b.recorder("garbage-collector-controller"), client: b.metadata,
		factory: metadatainformer.NewFilteredSharedInformerFactory(b.metadata, 0, metav1.NamespaceAll, nil),
		byKind:  map[schema.GroupKind]watched{},
		queue:   workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[garbageKey](firstRetry, lastRetry)),
	}
	for _, resource := range resources {
		if resource.Resource == "events" {
			continue // they own nothing, are owned by nothing, and are many
		}
		if err := g.watch(resource); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *garbageCollector) watch(resource deletable) error {
	w := watched{resource, g.factory.ForResource(resource.GroupVersionResource).Informer()}
	if err := w.informer.SetTransform(onlyOwnership); err != nil {
		return err
	}
	if err := w.informer.AddIndexers(cache.Indexers{byOwner: ownerUIDs}); err != nil {
		return err
	}
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { g.observe(w, obj) },
		UpdateFunc: func(_, obj any) { g.observe(w, obj) },
		DeleteFunc: func(obj any) { g.deleted(obj) },
	})
	g.watched = append(g.watched, w)
	g.byKind[schema.GroupKind{Group: resource.Group, Kind: resource.kind}] = w
	return err
}

// onlyOwnership keeps what matters here, and nothing else of the metadata.
func onlyOwnership(obj any) (any, error) {
	object, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return obj, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: object.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: object.Name, Namespace: object.Namespace, UID: object.UID, ResourceVersion: object.ResourceVersion,
		OwnerReferences: object.OwnerReferences, Finalizers: object.Finalizers, DeletionTimestamp: object.DeletionTimestamp,
	}}, nil
}

func ownerUIDs(obj any) ([]string, error) {
	object, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("a %T in a metadata informer", obj)
	}
	var uids []string
	for _, owner := range object.OwnerReferences {
		uids = append(uids, string(owner.UID))
	}
	return uids, nil
}

// observe queues what may be garbage, or is being deleted in a special way.
func (g *garbageCollector) observe(w watched, obj any) {
	object := obj.(*metav1.PartialObjectMetadata)
	if len(object.OwnerReferences) > 0 || object.DeletionTimestamp != nil && len(object.Finalizers) > 0 {
		g.queue.Add(garbageKey{w.GroupVersionResource, keyOf(object), object.UID})
	}
}

// deleted queues those that the object owned, and its owners, who may wait for
// its end.
func (g *garbageCollector) deleted(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	object, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	g.eachDependent(object.UID, func(w watched, dependent *metav1.PartialObjectMetadata) {
		g.queue.Add(garbageKey{w.GroupVersionResource, keyOf(dependent), dependent.UID})
	})
	for _, owner := range object.OwnerReferences {
		if w, found := g.kindOf(owner); found {
			g.queue.Add(garbageKey{w.GroupVersionResource, g.keyOfOwner(w, object.Namespace, owner), owner.UID})
		}
	}
}

func (g *garbageCollector) eachDependent(uid types.UID, visit func(watched, *metav1.PartialObjectMetadata)) {
	for _, w := range g.watched {
		items, err := w.informer.GetIndexer().ByIndex(byOwner, string(uid))
		if err != nil {
			g.log.Error("looking for dependents", "resource", w.Resource, "error", err)
			continue
		}
		for _, item := range items {
			visit(w, item.(*metav1.PartialObjectMetadata))
		}
	}
}

func (g *garbageCollector) kindOf(owner metav1.OwnerReference) (watched, bool) {
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	if err != nil {
		return watched{}, false
	}
	w, found := g.byKind[schema.GroupKind{Group: version.Group, Kind: owner.Kind}]
	if !found && version.Group == extensionsv1beta1.GroupName {
		// What is still served of it is in apps too, and watched there.
		w, found = g.byKind[schema.GroupKind{Group: appsv1.GroupName, Kind: owner.Kind}]
	}
	return w, found
}

// keyOfOwner is where an owner is: in the namespace of what it owns, or in none.
func (g *garbageCollector) keyOfOwner(w watched, namespace string, owner metav1.OwnerReference) key {
	if !w.namespaced {
		namespace = ""
	}
	return key{Namespace: namespace, Name: owner.Name}
}

func (g *garbageCollector) run(ctx context.Context) error {
	g.factory.Start(ctx.Done())
	for resource, synced := range g.factory.WaitForCacheSync(ctx.Done()) {
		if !synced && ctx.Err() == nil {
			return fmt.Errorf("reading the metadata of all %s failed", resource.Resource)
		}
	}
	stop := context.AfterFunc(ctx, g.queue.ShutDown)
	defer stop()
	for range garbageWorkers {
		g.group.Go(func() {
			for g.next(ctx) {
			}
		})
	}
	g.group.Wait()
	g.factory.Shutdown()
	return nil
}

func (g *garbageCollector) next(ctx context.Context) bool {
	k, shutdown := g.queue.Get()
	if shutdown {
		return false
	}
	defer g.queue.Done(k)
	if err := g.collect(ctx, k); err != nil && ctx.Err() == nil {
		g.log.Info("collecting failed, will be tried again", "resource", k.resource.Resource, "object", k.key.String(), "error", err)
		g.queue.AddRateLimited(k)
		return true
	}
	g.queue.Forget(k)
	return true
}

// collect does what has to be done about one object.
func (g *garbageCollector) collect(ctx context.Context, k garbageKey) error {
	object, err := g.cached(k)
	if err != nil || object == nil || object.UID != k.uid {
		return err
	}
	if object.DeletionTimestamp != nil {
		switch {
		case slices.Contains(object.Finalizers, metav1.FinalizerOrphanDependents):
			return g.orphan(ctx, k, object)
		case slices.Contains(object.Finalizers, metav1.FinalizerDeleteDependents):
			return g.deleteDependents(ctx, k, object)
		}
		return nil
	}
	return g.checkOwners(ctx, k, object)
}

func (g *garbageCollector) cached(k garbageKey) (*metav1.PartialObjectMetadata, error) {
	for _, w := range g.watched {
		if w.GroupVersionResource != k.resource {
			continue
		}
		name := k.key.String()
		if !w.namespaced {
			name = k.Name
		}
		item, exists, err := w.informer.GetIndexer().GetByKey(name)
		if err != nil || !exists {
			return nil, err
		}
		return item.(*metav1.PartialObjectMetadata), nil
	}
	return nil, nil
}

func (g *garbageCollector) resource(k garbageKey) metadata.ResourceInterface {
	if k.Namespace == "" {
		return g.client.Resource(k.resource)
	}
	return g.client.Resource(k.resource).Namespace(k.Namespace)
}

// checkOwners deletes an object none of whose owners exists, and takes away
// references to those that do not.
func (g *garbageCollector) checkOwners(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata) error {
	var solid, waiting []metav1.OwnerReference
	dangling := 0
	for _, owner := range object.OwnerReferences {
		state, err := g.stateOf(ctx, object.Namespace, owner)
		if err != nil {
			return err
		}
		switch state {
		case ownerExists:
			solid = append(solid, owner)
		case ownerWaits:
			waiting = append(waiting, owner)
		case ownerAbsent:
			dangling++
			g.tellOfFarOwner(k, owner)
		}
	}
	switch {
	case len(solid) > 0 && dangling+len(waiting) > 0:
		return g.setOwners(ctx, k, object, solid)
	case len(solid) > 0 || len(object.OwnerReferences) == 0:
		return nil
	case len(waiting) > 0:
		return g.delete(ctx, k, object, metav1.DeletePropagationForeground)
	case slices.Contains(object.Finalizers, metav1.FinalizerOrphanDependents):
		return g.delete(ctx, k, object, metav1.DeletePropagationOrphan)
	case slices.Contains(object.Finalizers, metav1.FinalizerDeleteDependents):
		return g.delete(ctx, k, object, metav1.DeletePropagationForeground)
	default:
		return g.delete(ctx, k, object, metav1.DeletePropagationBackground)
	}
}

// tellOfFarOwner says so if an owner that is missing lives in another
// namespace: somebody has mistaken what ownership means.
func (g *garbageCollector) tellOfFarOwner(k garbageKey, owner metav1.OwnerReference) {
	w, found := g.kindOf(owner)
	if !found || !w.namespaced {
		return
	}
	for _, item := range w.informer.GetIndexer().List() {
		if other := item.(*metav1.PartialObjectMetadata); other.UID == owner.UID && other.Namespace != k.Namespace {
			identity := fmt.Sprintf("[%s/%s, namespace: %s, name: %s, uid: %s]", owner.APIVersion, owner.Kind, k.Namespace, owner.Name, owner.UID)
			g.events.Eventf(g.reference(k), corev1.EventTypeWarning, "OwnerRefInvalidNamespace", "ownerRef %s does not exist in namespace %q", identity, k.Namespace)
			return
		}
	}
}

// reference names an object to events.
func (g *garbageCollector) reference(k garbageKey) *corev1.ObjectReference {
	ref := &corev1.ObjectReference{APIVersion: k.resource.GroupVersion().String(), Namespace: k.Namespace, Name: k.Name, UID: k.uid}
	for _, w := range g.watched {
		if w.GroupVersionResource == k.resource {
			ref.Kind = w.kind
		}
	}
	return ref
}

type ownerState int

const (
	ownerExists ownerState = iota
	// ownerWaits: it is deleted in the foreground, and waits for its dependents.
	ownerWaits
	ownerAbsent
)

// stateOf looks an owner up. That one is gone is believed only when the API
// says so: a cache may lag behind an owner that has just been made.
func (g *garbageCollector) stateOf(ctx context.Context, namespace string, owner metav1.OwnerReference) (ownerState, error) {
	w, found := g.kindOf(owner)
	if !found {
		return ownerExists, nil // a kind that we do not know is not ours to judge
	}
	k := garbageKey{w.GroupVersionResource, g.keyOfOwner(w, namespace, owner), owner.UID}
	object, err := g.cached(k)
	if err != nil {
		return ownerExists, err
	}
	if object == nil || object.UID != owner.UID {
		object, err = g.resource(k).Get(ctx, owner.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ownerAbsent, nil
		}
		if err != nil {
			return ownerExists, err
		}
	}
	switch {
	case object.UID != owner.UID:
		return ownerAbsent, nil
	case object.DeletionTimestamp != nil && slices.Contains(object.Finalizers, metav1.FinalizerDeleteDependents):
		return ownerWaits, nil
	default:
		return ownerExists, nil
	}
}

// delete deletes an object in the state in which it was judged: the cache may
// not know yet that it was orphaned, and another look follows when it does.
func (g *garbageCollector) delete(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata, policy metav1.DeletionPropagation) error {
	err := g.resource(k).Delete(ctx, k.Name, metav1.DeleteOptions{
		PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &k.uid, ResourceVersion: &object.ResourceVersion},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// deleteDependents is the foreground deletion of object: it goes when no
// dependent that blocks it is left.
func (g *garbageCollector) deleteDependents(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata) error {
	blocking := 0
	g.eachDependent(object.UID, func(w watched, dependent *metav1.PartialObjectMetadata) {
		for _, owner := range dependent.OwnerReferences {
			if owner.UID == object.UID && owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion {
				blocking++
			}
		}
		if dependent.DeletionTimestamp == nil {
			g.queue.Add(garbageKey{w.GroupVersionResource, keyOf(dependent), dependent.UID})
		}
	})
	if blocking > 0 {
		return nil // the last one's end queues the object again
	}
	return g.dropFinalizer(ctx, k, object, metav1.FinalizerDeleteDependents)
}

// orphan frees all dependents, and then lets the object go.
func (g *garbageCollector) orphan(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata) error {
	var firstErr error
	g.eachDependent(object.UID, func(w watched, dependent *metav1.PartialObjectMetadata) {
		others := slices.DeleteFunc(slices.Clone(dependent.OwnerReferences), func(owner metav1.OwnerReference) bool { return owner.UID == object.UID })
		err := g.setOwners(ctx, garbageKey{w.GroupVersionResource, keyOf(dependent), dependent.UID}, dependent, others)
		if err != nil && firstErr == nil {
			firstErr = err
		}
	})
	if firstErr != nil {
		return firstErr
	}
	return g.dropFinalizer(ctx, k, object, metav1.FinalizerOrphanDependents)
}

func (g *garbageCollector) setOwners(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata, owners []metav1.OwnerReference) error {
	return g.patch(ctx, k, map[string]any{"ownerReferences": owners, "uid": object.UID, "resourceVersion": object.ResourceVersion})
}

func (g *garbageCollector) dropFinalizer(ctx context.Context, k garbageKey, object *metav1.PartialObjectMetadata, finalizer string) error {
	others := slices.DeleteFunc(slices.Clone(object.Finalizers), func(f string) bool { return f == finalizer })
	return g.patch(ctx, k, map[string]any{"finalizers": others, "uid": object.UID, "resourceVersion": object.ResourceVersion})
}

// patch changes metadata in the state in which it was seen. What is gone is
// done; a conflict is tried again when the informer has caught up.
func (g *garbageCollector) patch(ctx context.Context, k garbageKey, metadata map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	_, err = g.resource(k).Patch(ctx, k.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
