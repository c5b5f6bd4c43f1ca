package harness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// prefix begins the name of every instance's directory and namespace.
const prefix = "coxt-"

// watchdogOf makes a test binary the watchdog of the directory it names.
const watchdogOf = "COXTEST_WATCHDOG"

// Main runs the tests of a package that uses instances: m is testing.M's Run.
func Main(m *testing.M) {
	if dir := os.Getenv(watchdogOf); dir != "" {
		os.Exit(watch(dir))
	}
	removeStale()
	os.Exit(m.Run())
}

// watch waits until the test closes our standard input, by ending in whatever
// way, and then removes the instance.
func watch(dir string) int {
	held, err := own(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer held.Close()
	fmt.Println("watching")
	io.Copy(io.Discard, os.Stdin)
	if err := remove(dir); err != nil {
		fmt.Fprintf(os.Stderr, "cleaning up %s: %v\n", dir, err)
		return 1
	}
	return 0
}

// watchdog is the test's end of the pipe.
type watchdog struct {
	command *exec.Cmd
	stdin   io.Closer
}

func startWatchdog(dir string) (*watchdog, error) {
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), watchdogOf+"="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	if _, err := stdout.Read(make([]byte, 16)); err != nil {
		return nil, fmt.Errorf("the watchdog did not start: %w", err)
	}
	return &watchdog{command, stdin}, nil
}

// Close lets the watchdog clean up, and waits for it.
func (w *watchdog) Close() error {
	return errors.Join(w.stdin.Close(), w.command.Wait())
}

// own marks dir as watched for as long as the file is open. The file gets its
// name when it is locked, so that nobody takes a new directory for a stale one.
func own(dir string) (*os.File, error) {
	unnamed := filepath.Join(dir, "owner.new")
	if err := os.WriteFile(unnamed, nil, 0o600); err != nil {
		return nil, err
	}
	file, err := lock(unnamed)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(unnamed, filepath.Join(dir, "owner")); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is held by another process: %w", path, err), file.Close())
	}
	return file, nil
}

// removeStale removes instances whose watchdog was killed.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		held, err := lock(filepath.Join(dir, "owner"))
		if err != nil {
			continue // watched, or just being made
		}
		if err := remove(dir); err != nil {
			fmt.Fprintf(os.Stderr, "cleaning up %s of an earlier run: %v\n", dir, err)
		}
		held.Close()
	}
}
