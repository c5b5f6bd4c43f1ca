package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// RunningError says that an instance already works on a data directory.
type RunningError struct {
	DataDir string
	PID     int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("cox already runs on %s (pid %d); nothing was changed. Stop it with `cox down`, or start a second instance with its own --data-dir, --run-dir, --listen and --kubeconfig", e.DataDir, e.PID)
}

// lock is held for as long as a cox process works on a data directory. The
// kernel lets go of it when the process ends, however it ends.
type lock struct{ file *os.File }

func lockPath(dataDir string) string { return filepath.Join(dataDir, "cox.lock") }

// acquireLock takes the data directory for this process and leaves its pid in
// the lock file. It returns a *RunningError if another process has it.
func acquireLock(dataDir string) (*lock, error) {
	file, err := os.OpenFile(lockPath(dataDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir %s: %w", dataDir, err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &RunningError{DataDir: dataDir, PID: readPID(file)}
		}
		return nil, fmt.Errorf("--data-dir %s: locking it: %w", dataDir, err)
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("--data-dir %s: %w", dataDir, err), file.Close())
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("--data-dir %s: %w", dataDir, err), file.Close())
	}
	return &lock{file}, nil
}

func (l *lock) release() { l.file.Close() }

// runningPID returns the pid of the cox that works on dataDir, and 0 if none
// does.
func runningPID(dataDir string) (int, error) {
	file, err := os.OpenFile(lockPath(dataDir), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("--data-dir %s: %w", dataDir, err)
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return readPID(file), nil
	}
	return 0, err
}

func readPID(file *os.File) int {
	var text [32]byte
	n, _ := file.ReadAt(text[:], 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	return pid
}

// awaitUnlocked waits until no process works on dataDir.
func awaitUnlocked(ctx context.Context, dataDir string) error {
	file, err := os.Open(lockPath(dataDir))
	if err != nil {
		return err
	}
	free := make(chan error, 1)
	go func() {
		defer file.Close()
		// The kernel wakes us when the lock is let go. If that is after
		// ctx's end, the command has ended by then and this with it.
		free <- unix.Flock(int(file.Fd()), unix.LOCK_SH)
	}()
	select {
	case err := <-free:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
