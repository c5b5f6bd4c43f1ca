package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/client-go/tools/cache"
)

const (
	// storagePrefix and the names below it are upstream's, so that the data
	// can be read by any tool that knows Kubernetes' layout.
	storagePrefix = "/registry"

	// deleteWorkers remove the objects of a collection side by side.
	deleteWorkers = 4
)

// specialPrefixes are the resources that upstream keeps under another name
// than their own.
var specialPrefixes = map[schema.GroupResource]string{
	{Resource: "services"}:                              "services/specs",
	{Resource: "endpoints"}:                             "services/endpoints",
	{Group: "networking.k8s.io", Resource: "ingresses"}: "ingress",
	{Resource: "nodes"}:                                 "minions",
	{Resource: "replicationcontrollers"}:                "controllers",
}

// stores makes the storage of every resource over one connection to etcd, and
// implements generic.RESTOptionsGetter.
type stores struct {
	scheme *runtime.Scheme
	codecs serializer.CodecFactory
	client *kubernetes.Client
}

func newStores(scheme *runtime.Scheme, codecs serializer.CodecFactory, endpoint string) (*stores, error) {
	client, err := kubernetes.New(clientv3.Config{
		Endpoints:   []string{endpoint},
		DialOptions: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
		Logger:      zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the store at %s: %w", endpoint, err)
	}
	return &stores{scheme: scheme, codecs: codecs, client: client}, nil
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (s *stores) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	version, err := s.storageVersion(example)
	if err != nil {
		return generic.RESTOptions{}, fmt.Errorf("storage of %s: %w", resource, err)
	}
	codec, versioner, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  runtime.ContentTypeProtobuf,
		StorageSerializer: s.codecs,
		StorageVersion:    version,
		MemoryVersion:     schema.GroupVersion{Group: version.Group, Version: runtime.APIVersionInternal},
	})
	if err != nil {
		return generic.RESTOptions{}, fmt.Errorf("storage of %s: %w", resource, err)
	}
	config := storagebackend.NewDefaultConfig(storagePrefix, codec)
	config.EncodeVersioner = versioner
	return generic.RESTOptions{
		StorageConfig:           config.ForResource(resource),
		Decorator:               s.decorator(resource),
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteWorkers,
		ResourcePrefix:          prefixOf(resource),
	}, nil
}

// storageVersion is the published version of an object's type: the one form
// that exists.
func (s *stores) storageVersion(example runtime.Object) (schema.GroupVersion, error) {
	kinds, _, err := s.scheme.ObjectKinds(example)
	if err != nil {
		return schema.GroupVersion{}, err
	}
	for _, kind := range kinds {
		if kind.Version != runtime.APIVersionInternal {
			return kind.GroupVersion(), nil
		}
	}
	return schema.GroupVersion{}, fmt.Errorf("%T has no published version", example)
}

func prefixOf(resource schema.GroupResource) string {
	if special, ok := specialPrefixes[resource]; ok {
		return special
	}
	return strings.ToLower(resource.Resource)
}

// decorator puts a watch cache before etcd, but for what is written often and
// rarely read.
func (s *stores) decorator(resource schema.GroupResource) generic.StorageDecorator {
	if resource.Resource == "events" {
		return s.uncached
	}
	return s.cached
}

func (s *stores) uncached(config *storagebackend.ConfigForResource, prefix string, _ func(runtime.Object) (string, error),
	newObject, newList func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	versioner := storage.APIObjectVersioner{}
	client := *s.client
	client.KV = etcd3.NewETCDLatencyTracker(client.KV)
	client.Kubernetes = &client
	store, err := etcd3.New(&client, nil, config.Codec, newObject, newList, config.Prefix, prefix, config.GroupResource,
		identity.NewEncryptCheckTransformer(), config.LeaseManagerConfig, etcd3.NewDefaultDecoder(config.Codec, versioner), versioner)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

func (s *stores) cached(config *storagebackend.ConfigForResource, prefix string, keyOf func(runtime.Object) (string, error),
	newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	store, closeStore, err := s.uncached(config, prefix, keyOf, newObject, newList, attributes, triggers, indexers)
	if err != nil {
		return nil, nil, err
	}
	cached, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: store, Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource,
		EventsHistoryWindow: eventsHistory, ResourcePrefix: prefix, KeyFunc: keyOf,
		NewFunc: newObject, NewListFunc: newList, GetAttrsFunc: attributes,
		IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec, Clock: sharedWakeups{},
	})
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	delegator := cacher.NewCacheDelegator(cached, store)
	// Once: a kind that two versions show is destroyed by each.
	return delegator, sync.OnceFunc(func() { delegator.Stop(); cached.Stop(); closeStore() }), nil
}

// eventsHistory is how far back a watch may start from memory.
const eventsHistory = 75 * time.Second

// healthLimit is how long the store may take to answer a health check.
const healthLimit = 2 * time.Second

// answers asks the store for anything, as a health check.
func (s *stores) answers(request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), healthLimit)
	defer cancel()
	if _, err := s.client.KV.Get(ctx, storagePrefix+"/health", clientv3.WithCountOnly()); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// close ends the connection to etcd; the storages are closed by their server.
func (s *stores) close() { s.client.Close() }
