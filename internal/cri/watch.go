package cri

import (
	"context"
	"os"
	"time"
)

const (
	// firstDelay and lastDelay bound the wait before a dead engine is started
	// again: at once the first time, ever later when it dies again and again.
	firstDelay = 100 * time.Millisecond
	lastDelay  = 30 * time.Second
	// healthyLife is how long an engine must have lived for its death to count
	// as the first one again.
	healthyLife = 30 * time.Second
	// logPeriod is how often the log's size is looked at.
	logPeriod = 15 * time.Minute
)

// watch starts the engine again whenever it has died, until ctx ends.
func (e *Engine) watch(ctx context.Context) {
	go e.watchLog(ctx)
	if os.Getpid() == 1 {
		go reapShims(ctx)
	}
	delay := time.Duration(0)
	for {
		started := time.Now()
		e.mu.Lock()
		current := e.process
		e.mu.Unlock()
		if current.wait(ctx) != nil {
			return
		}
		current.forget()
		if time.Since(started) > healthyLife {
			delay = 0
		}
		e.log.Warn("containerd has died and is started again; containers run on", "pid", current.pid, "after", delay)
		if !e.revive(ctx, &delay) {
			return
		}
	}
}

// revive starts the engine until it answers. It returns false when ctx ended.
func (e *Engine) revive(ctx context.Context, delay *time.Duration) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(*delay):
		}
		*delay = min(max(firstDelay, *delay*2), lastDelay)
		began := time.Now()
		err := e.spawn(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			e.log.Info("containerd answers again", "pid", e.PID(), "took", time.Since(began).Round(time.Millisecond))
			return true
		}
		e.log.Error("containerd did not start; containers run on but none can be started or stopped", "error", explainDisk(err, e.config), "again in", *delay)
	}
}

func (e *Engine) watchLog(ctx context.Context) {
	ticker := time.NewTicker(logPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			trimLog(e.config.logFile())
		}
	}
}
