package cri

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reapShims collects shims that have ended, where nobody else does: a shim
// outlives what started it and becomes a child of process 1, which is cox when
// it is all that runs in a container. Only shims are collected: cox's own
// children are awaited by who started them.
func reapShims(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		for _, pid := range zombieShims() {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
		}
	}
}

// zombieShims are the shims that are our children and have ended.
func zombieShims() []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var pids []int
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		number, rest, _ := strings.Cut(string(content), " (")
		name, rest, _ := strings.Cut(rest, ") ")
		state, rest, _ := strings.Cut(rest, " ")
		parent, _, _ := strings.Cut(rest, " ")
		if state == "Z" && strings.HasPrefix(name, "containerd-shim") && parent == strconv.Itoa(os.Getpid()) {
			pid, _ := strconv.Atoi(number)
			pids = append(pids, pid)
		}
	}
	return pids
}
