package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"coxswain.dev/cox/internal/reconcile"
)

// Retries of a key begin at firstRetry and double up to lastRetry.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// ownWritesAudit is how long a key waits at most for an event to tell that the
// informers have its own writes. They may have them without one: a list after a
// broken watch in which the objects are gone already.
const ownWritesAudit = 30 * time.Second

// key names the object that is reconciled; the namespace is empty for
// cluster-scoped kinds.
type key = types.NamespacedName

// loop is what all controllers have in common.
type loop struct {
	name    string
	workers int
	log     *slog.Logger
	queue   workqueue.TypedRateLimitingInterface[key]
	own     *reconcile.OwnWrites
	audit   time.Duration // ownWritesAudit
	// reconcile brings one object to where it should be. It returns when to
	// look again although nothing has changed; zero for never.
	reconcile func(ctx context.Context, k key) (wakeAt time.Time, err error)
}

func newLoop(name string, workers int, log *slog.Logger) *loop {
	l := &loop{
		name: name, workers: workers, log: log.With("controller", name), audit: ownWritesAudit,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[key](firstRetry, lastRetry)),
	}
	l.own = reconcile.NewOwnWrites(func(k key) { l.queue.Add(k) })
	return l
}

// add queues several keys.
func (l *loop) add(keys []key) {
	for _, k := range keys {
		l.queue.Add(k)
	}
}

// watchOwn makes every event of the informers a chance for waiting keys.
// Handlers run after the informer's store has been changed.
func watchOwn(own *reconcile.OwnWrites, informers ...cache.SharedIndexInformer) error {
	for _, informer := range informers {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { own.Look() },
			UpdateFunc: func(any, any) { own.Look() },
			DeleteFunc: func(any) { own.Look() },
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// run works until ctx ends and the keys at work are done.
func (l *loop) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.queue.ShutDown)
	defer stop()
	var group sync.WaitGroup
	for range l.workers {
		group.Go(func() {
			for l.next(ctx) {
			}
		})
	}
	group.Wait()
	return nil
}

// next reconciles one key. It returns false when the queue has been shut down.
func (l *loop) next(ctx context.Context) bool {
	k, shutdown := l.queue.Get()
	if shutdown {
		return false
	}
	defer l.queue.Done(k)
	if !l.own.Reached(k) {
		l.queue.AddAfter(k, l.audit)
		return true // it is added again when the informers are there
	}
	wakeAt, err := l.guarded(ctx, k)
	switch {
	case err == nil:
		l.queue.Forget(k)
		if !wakeAt.IsZero() {
			l.queue.AddAfter(k, time.Until(wakeAt))
		}
		if l.own.Waits(k) {
			l.queue.AddAfter(k, l.audit)
		}
	case ctx.Err() != nil:
	default:
		if !apierrors.IsConflict(err) {
			l.log.Info("reconciling failed, will be tried again", "key", k.String(), "error", err)
		}
		l.queue.AddRateLimited(k)
	}
	return true
}

// guarded turns a panic into an error: one object that nobody thought of must
// not take all others down.
func (l *loop) guarded(ctx context.Context, k key) (wakeAt time.Time, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			l.log.Error("panic", "key", k.String(), "panic", caught, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: %s: panic: %v", l.name, k, caught)
		}
	}()
	return l.reconcile(ctx, k)
}
