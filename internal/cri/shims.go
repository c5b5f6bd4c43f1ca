package cri

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"golang.org/x/sys/unix"
)

// shim is a process that keeps the containers of a Pod.
type shim struct {
	pid int
	// id is the container for which it was started, the Pod's sandbox.
	id string
}

// strayShims are the engine's shims that have no process to keep, and of whose
// container containerd knows no task: their start was given up.
func (e *Engine) strayShims(ctx context.Context) (map[shim]bool, error) {
	stray := e.shimsWithoutChildren()
	if len(stray) == 0 {
		return nil, nil
	}
	// Asked after the look at the processes: what is missing now was missing then.
	answer, err := tasksapi.NewTasksClient(e.images.conn).List(inNamespace(ctx), &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, explainRPC("listing tasks", err)
	}
	for _, t := range answer.Tasks {
		for s := range stray {
			if s.id == t.ContainerID || s.id == t.ID {
				delete(stray, s)
			}
		}
	}
	return stray, nil
}

// endStray kills a shim that keeps nothing, if it is still that.
func (e *Engine) endStray(s shim) {
	if found, ours := e.shimOf(s.pid); !ours || found != s {
		return
	}
	if err := unix.Kill(s.pid, unix.SIGKILL); err != nil {
		e.log.Warn("a shim that keeps no container does not end", "container", s.id, "error", err)
		return
	}
	e.log.Info("ended a shim whose container was never made", "container", s.id)
}

func (e *Engine) shimsWithoutChildren() map[shim]bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	found, parents := map[shim]bool{}, map[int]bool{}
	for _, path := range stats {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything: what follows the last one counts.
		var state string
		var parent int
		fmt.Sscan(string(content[strings.LastIndex(string(content), ")")+1:]), &state, &parent)
		parents[parent] = true
		if s, ours := e.shimOf(pid); ours {
			found[s] = true
		}
	}
	for s := range found {
		if parents[s.pid] {
			delete(found, s)
		}
	}
	return found
}

// shimOf reads from a process's command line whether it is one of the engine's.
func (e *Engine) shimOf(pid int) (s shim, ours bool) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	words := strings.Split(string(content), "\x00")
	if err != nil || filepath.Base(words[0]) != "containerd-shim-runc-v2" || after(words, "-address") != e.config.socket() {
		return shim{}, false
	}
	return shim{pid, after(words, "-id")}, true
}

// after is the word that follows a flag.
func after(words []string, flag string) string {
	if i := slices.Index(words, flag); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
