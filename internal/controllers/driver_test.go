package controllers

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/reconcile"
)

// emptied is a store whose version is all that changes.
type emptied struct {
	reconcile.Store
	version atomic.Value
}

func (e *emptied) LastStoreSyncResourceVersion() string { return e.version.Load().(string) }

// TestAWaitEndsWithoutAnEvent: what a controller has written is gone when its
// informer lists again, so that no event tells that the list has it.
func TestAWaitEndsWithoutAnEvent(t *testing.T) {
	store, looks := &emptied{}, make(chan int, 10)
	store.version.Store("6")
	l := newLoop("test", 1, slog.New(slog.NewTextHandler(io.Discard, nil)))
	l.audit = time.Millisecond
	k, count := key{Namespace: "default", Name: "web"}, 0
	l.reconcile = func(context.Context, key) (time.Time, error) {
		if count++; count == 1 {
			l.own.Wrote(k, store, &metav1.ObjectMeta{ResourceVersion: "7"})
		}
		looks <- count
		return time.Time{}, nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.run(ctx) }()
	l.queue.Add(k)
	for want := 1; want <= 2; want++ {
		select {
		case got := <-looks:
			if got != want {
				t.Errorf("look %d comes, not %d", got, want)
			}
			if got == 2 && store.LastStoreSyncResourceVersion() != "7" {
				t.Error("it did not wait for its own write")
			}
		case <-time.After(time.Minute):
			t.Fatalf("look %d does not come", want)
		}
		store.version.Store("7")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
