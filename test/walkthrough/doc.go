// Package walkthrough runs the whole walk-through of a Deployment, as a user
// types it, and compares every command's whole output.
//
// testdata/*.txt are the sessions: a line that begins with "$ " is a command,
// and what follows is its output, with names, ages and addresses masked. They
// are run with the kubectl on the PATH and with `cox kubectl`. After a
// deliberate change, `go test ./test/walkthrough -update` writes them anew.
package walkthrough
