package cni

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries bounds how often a list is asked for that changed meanwhile. On a
// machine where Pods come and go it happens, many times in a row it does not.
const dumpTries = 20

// Dump asks the kernel for a list until it gets one whole: while links or
// routes come and go, an answer may lack some that were there all the time.
func Dump[T any](list func() ([]T, error)) ([]T, error) {
	var found []T
	var err error
	for range dumpTries {
		found, err = list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return found, err
}
