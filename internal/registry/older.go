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
// out. One of another group has no short names and is in no category: kubectl
// warns of names that two groups have, and `kubectl get all` is to show an
// object once.
func Older(storages map[string]rest.Storage, otherGroup bool) map[string]rest.Storage {
	older := map[string]rest.Storage{}
	for path, storage := range storages {
		if main, ok := storage.(resourceStorage); ok {
			if otherGroup {
				main.shortNames, main.categories = nil, nil
			}
			storage = olderStorage{main}
		}
		older[path] = storage
	}
	return older
}

// olderStorage is the main storage once more.
type olderStorage struct{ resourceStorage }

// Destroy does nothing: the store is destroyed with the newest version.
func (olderStorage) Destroy() {}

// AskedThrough tells whether a request came through one of these versions.
func AskedThrough(ctx context.Context, versions ...schema.GroupVersion) bool {
	info, found := request.RequestInfoFrom(ctx)
	return found && slices.Contains(versions, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion})
}
