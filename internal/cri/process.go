package cri

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running containerd, our child or one taken up.
type process struct {
	pid int
	// handle is the process's pidfd: it is readable when the process has ended,
	// and never stands for another process that got the same number.
	handle *os.File
	// child is set for a process that this one started and must reap.
	child *exec.Cmd
}

// openProcess gets hold of a process by its number.
func openProcess(pid int) (*process, error) {
	handle, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return &process{pid: pid, handle: os.NewFile(uintptr(handle), "pidfd")}, nil
}

// wait returns nil when the process has ended, and the context's error if that
// ends before. It takes no CPU and no thread meanwhile.
func (p *process) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.handle.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		p.handle.SetReadDeadline(time.Time{})
	}()
	raw, err := p.handle.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool {
		ready, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return ready > 0
	})
	if err == nil {
		p.reap()
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("waiting for process %d: %w", p.pid, err)
}

// reap collects an ended child, so that it leaves no zombie.
func (p *process) reap() {
	if p.child != nil {
		p.child.Wait()
		p.child = nil
	}
}

// signal sends a signal; that the process has ended already is no error.
func (p *process) signal(signal syscall.Signal) error {
	raw, err := p.handle.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) {
		sent = unix.PidfdSendSignal(int(fd), signal, nil, 0)
	}); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return nil
	}
	return sent
}

// stop asks the process to end and kills it after a grace period.
func (p *process) stop(ctx context.Context, grace time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	graceContext, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if p.wait(graceContext) == nil {
		return nil
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	return p.wait(context.WithoutCancel(ctx))
}

// forget lets go of the process without ending it.
func (p *process) forget() { p.handle.Close() }

// startTicks is when the process started, in clock ticks since boot. Number
// and start together name a process for as long as the machine runs.
func startTicks(pid int) (uint64, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; 19 fields follow it up to
	// the start time, which is the 22nd of all.
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: %q is not understood", pid, text)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// findByCommand is the process that was started with exactly these arguments
// but perhaps from another directory, 0 if there is none. Processes that see
// other files under the same names, those in containers, are not meant.
func findByCommand(argv []string) int {
	ourFiles, _ := os.Readlink("/proc/self/ns/mnt")
	arguments := "\x00" + strings.Join(argv[1:], "\x00") + "\x00"
	name := filepath.Base(argv[0])
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue
		}
		program, isOurs := strings.CutSuffix(string(command), arguments)
		if !isOurs || filepath.Base(program) != name {
			continue
		}
		if files, err := os.Readlink(filepath.Join("/proc", entry.Name(), "ns/mnt")); err == nil && files == ourFiles {
			return pid
		}
	}
	return 0
}
