package etcd

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
)

// explain turns what etcd says about its files into a sentence that tells what
// happened and what to do.
func explain(config Config, err error) error {
	reason := err.Error()
	switch {
	case isFull(err):
		return fmt.Errorf("the disk that holds %s is full: free some space, or choose another --data-dir", config.DataDir)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EROFS) || strings.Contains(reason, "permission denied") || strings.Contains(reason, "read-only file system"):
		return fmt.Errorf("the store's directory %s cannot be written (%w): run as its owner, or choose another --data-dir", config.DataDir, err)
	case strings.Contains(reason, "already locked"):
		// Nobody else has it: prepare has looked. etcd itself tries once
		// more over files that it could not read.
		err = errDamaged
	}
	return fmt.Errorf("the data in %s cannot be opened (%w): restore it from a snapshot, or choose another --data-dir", config.DataDir, err)
}

var errDamaged = errors.New("its files are damaged")

// brokenFiles is the error for what etcd panicked with over files it cannot
// read. A mistake of the runtime's, such as a nil pointer, says nothing to a
// user.
func brokenFiles(panicked any) error {
	if _, ok := panicked.(runtime.Error); ok {
		return errDamaged
	}
	return fmt.Errorf("%v", panicked)
}

// explainEnd does the same for a store that was running.
func explainEnd(config Config, err error) error {
	if isFull(err) {
		return fmt.Errorf("the disk that holds %s is full and the store has stopped: free some space and start again, nothing that was acknowledged is lost", config.DataDir)
	}
	return fmt.Errorf("the store in %s cannot go on: %w", config.DataDir, err)
}

// isFull knows a full disk, also where only the words of the error are left.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error())
}
