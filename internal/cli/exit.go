package cli

import "errors"

// Exit codes of the commands of this package, beside 0 for success.
const (
	// exitFailed is an error: nothing is known, nothing was done.
	exitFailed = 1
	// exitStopped is a plan or a simulation that does not come to its end, or a
	// Service that does not answer.
	exitStopped = 2
	// exitBroken is a simulation in which the controllers broke a rule.
	exitBroken = 3
)

// errExit ends the program with a code when all has been said.
type errExit int

func (errExit) Error() string { return "" }

// ExitCode is the code with which the program ends after err, and whether err
// is still to be printed.
func ExitCode(err error) (code int, toPrint bool) {
	var exit errExit
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &exit):
		return int(exit), false
	default:
		return exitFailed, true
	}
}
