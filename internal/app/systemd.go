package app

import (
	"github.com/coreos/go-systemd/v22/daemon"
)

// notifySystemd tells systemd about our state, where it is what started us.
func notifySystemd(state string) {
	// Not being started by systemd is no error, and there is nobody else to
	// tell of a failure.
	_, _ = daemon.SdNotify(false, state)
}
