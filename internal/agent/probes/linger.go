package probes

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// lingerZero makes closing a connection reset it.
func lingerZero(_, _ string, connection syscall.RawConn) error {
	return connection.Control(func(fd uintptr) {
		// A probe works without it too.
		unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 1})
	})
}
