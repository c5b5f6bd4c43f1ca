package app

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestTheLockNamesWhoHoldsIt(t *testing.T) {
	dir := t.TempDir()
	if pid, err := runningPID(dir); pid != 0 || err != nil {
		t.Errorf("in an empty directory runs %d (%v)", pid, err)
	}
	held, err := acquireLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := runningPID(dir); pid != os.Getpid() || err != nil {
		t.Errorf("it is held by %d (%v), want %d", pid, err, os.Getpid())
	}
	var running *RunningError
	if _, err := acquireLock(dir); !errors.As(err, &running) || running.PID != os.Getpid() || running.DataDir != dir {
		t.Errorf("a second lock: %v", err)
	}
	held.release()
	if pid, err := runningPID(dir); pid != 0 || err != nil {
		t.Errorf("after it was let go %d runs (%v)", pid, err)
	}
	again, err := acquireLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.release()
}

func TestWaitingForTheLockEndsWithItOrWithTheContext(t *testing.T) {
	dir := t.TempDir()
	held, err := acquireLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitUnlocked(ended, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("while it is held: %v", err)
	}
	held.release()
	if err := awaitUnlocked(t.Context(), dir); err != nil {
		t.Errorf("after it was let go: %v", err)
	}
}
