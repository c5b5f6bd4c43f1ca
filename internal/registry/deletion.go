package registry

import (
	"context"
	"sync"

	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
)

// The library asks a graceful strategy twice for one deletion, before and
// inside its transaction, with the same options: those that the first answer
// has changed. A deletion remembers what the client asked for.
type deletion struct {
	mu sync.Mutex
	// asked is the grace period, nil if the client named none.
	asked map[types.UID]*int64
}

type deletionKey struct{}

// WithDeletion is a context for the deletion of one or more objects.
func WithDeletion(ctx context.Context) context.Context {
	return context.WithValue(ctx, deletionKey{}, &deletion{asked: map[types.UID]*int64{}})
}

// AskedGrace is the grace period that the client named for an object, in
// seconds, or nil. known is false outside of a deletion that was begun with
// WithDeletion: then nobody can tell.
func AskedGrace(ctx context.Context, uid types.UID, options *metav1.DeleteOptions) (asked *int64, known bool) {
	d, known := ctx.Value(deletionKey{}).(*deletion)
	if !known {
		return options.GracePeriodSeconds, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	first, again := d.asked[uid]
	if !again {
		first = options.GracePeriodSeconds
		d.asked[uid] = first
	}
	return first, true
}

// gracefulStorage serves a kind whose objects are deleted gracefully.
type gracefulStorage struct{ resourceStorage }

func (s gracefulStorage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return s.resourceStorage.Delete(WithDeletion(ctx), name, validate, options)
}

func (s gracefulStorage) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternal.ListOptions) (runtime.Object, error) {
	return s.resourceStorage.DeleteCollection(WithDeletion(ctx), validate, options, list)
}
