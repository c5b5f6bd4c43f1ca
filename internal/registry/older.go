package registry

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Aged is a Builder whose storages are served in older versions too.
type Aged interface {
	Builder
	OlderVersions() []schema.GroupVersion
}

// OlderVersions implements Aged.
func (k Kind[O]) OlderVersions() []schema.GroupVersion { return k.Older }

// Older are the storages of a kind as an older version serves them: the same
// ones, over the same store and cache. The library converts what goes in and
// out.
func Older(storages map[string]rest.Storage) map[string]rest.Storage {
	older := map[string]rest.Storage{}
	for path, storage := range storages {
		if main, ok := storage.(resourceStorage); ok {
			storage = olderStorage{main}
		}
		older[path] = storage
	}
	return older
}

// olderStorage is the main storage once more.
type olderStorage struct{ resourceStorage }

// Categories is empty: `kubectl get all` is to show an object once.
func (olderStorage) Categories() []string { return nil }

// ShortNames is empty: kubectl warns of those that two groups have.
func (olderStorage) ShortNames() []string { return nil }

// Destroy does nothing: the store is destroyed with the newest version.
func (olderStorage) Destroy() {}

// AskedThrough tells whether a request came through one of these versions.
func AskedThrough(ctx context.Context, versions ...schema.GroupVersion) bool {
	info, found := request.RequestInfoFrom(ctx)
	return found && slices.Contains(versions, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion})
}
