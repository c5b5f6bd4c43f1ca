package etcd

import (
	"context"
	"log/slog"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
)

const (
	// keptRevisions are always readable: watches resume and lists page within
	// them. compactEvery is how many more gather before a compaction.
	keptRevisions = 10_000
	compactEvery  = 10_000
	// growthCheck is how often the revision counter, a number in memory, is
	// looked at. Nothing is read or written when it has not grown.
	growthCheck = time.Minute
)

// compactor removes old revisions when enough of them have gathered.
type compactor struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startCompactor(server *etcdserver.EtcdServer, ready <-chan struct{}, logger *slog.Logger) *compactor {
	ctx, cancel := context.WithCancel(context.Background())
	c := &compactor{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		c.run(ctx, server, logger)
	}()
	return c
}

func (c *compactor) run(ctx context.Context, server *etcdserver.EtcdServer, logger *slog.Logger) {
	ticker := time.NewTicker(growthCheck)
	defer ticker.Stop()
	compacted := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		target := compactionTarget(server.KV().Rev(), compacted)
		if target == 0 {
			continue
		}
		if _, err := server.Compact(ctx, &pb.CompactionRequest{Revision: target}); err != nil && ctx.Err() == nil {
			logger.Warn("compacting the store failed, it is tried again", "revision", target, "error", err)
			continue
		}
		compacted = target
	}
}

// compactionTarget is the revision up to which to compact now, or 0 for not
// yet.
func compactionTarget(current, compacted int64) int64 {
	target := current - keptRevisions
	if target-compacted < compactEvery {
		return 0
	}
	return target
}

func (c *compactor) stop() {
	c.cancel()
	<-c.done
}
