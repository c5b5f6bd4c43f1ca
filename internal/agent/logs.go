package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"k8s.io/cri-client/pkg/logs"

	"coxswain.dev/cox/internal/agent/podlogs"
	"coxswain.dev/cox/internal/podlifecycle"
)

// How often the sizes of logs are looked at: seldom, but often while one of
// them grows by more than logBusy between two looks.
const (
	logLook     = 30 * time.Second
	logLookBusy = 2 * time.Second
	logBusy     = 1 << 20
)

// boundLogs keeps the logs of running containers in bounds until ctx ends.
func (a *Agent) boundLogs(ctx context.Context) {
	sizes := map[string]int64{}
	timer := time.NewTimer(logLook)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now, busy := map[string]int64{}, false
		for _, w := range a.allWorkers() {
			for id, path := range w.logFiles() {
				size, err := podlogs.Bound(ctx, path, func(ctx context.Context) error { return a.runtime.ReopenContainerLog(ctx, id) })
				if err != nil {
					w.log.Warn("a container's log was not brought into bounds", "container", id, "error", err)
				}
				now[id] = size
				busy = busy || size-sizes[id] > logBusy
			}
		}
		sizes = now
		if timer.Reset(logLook); busy {
			timer.Reset(logLookBusy)
		}
	}
}

// logFiles are the logs of the Pod's running containers, by container ID.
func (w *worker) logFiles() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	files := map[string]string{}
	for _, c := range w.observed.containers {
		if c.State == podlifecycle.Running {
			files[c.ID] = filepath.Join(w.agent.logDir(w.pod), logPath(c.Name, c.RestartCount))
		}
	}
	return files
}

// removeLogs removes the Pod's logs.
func (w *worker) removeLogs() {
	if w.pod.Name == "" {
		return
	}
	if err := os.RemoveAll(w.agent.logDir(w.pod)); err != nil {
		w.log.Warn("the Pod's logs were not removed", "error", err)
	}
}

// logTail is the end of a container's log, for its termination message.
func logTail(path string) string {
	lines := int64(maxMessageLines)
	var text bytes.Buffer
	err := logs.ReadLogs(context.Background(), path, "", &logs.LogOptions{TailLines: &lines}, nil, &text, &text)
	if err != nil {
		return ""
	}
	tail := text.Bytes()
	return string(tail[max(len(tail)-maxMessageLog, 0):])
}
