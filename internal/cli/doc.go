// Package cli holds the commands that talk to the API and to nothing else, or,
// as cox simulate, only to a simulator: one file a command, with what it needs in files that begin with its name.
//
//	kubectl.go   cox kubectl: the kubectl that is built in
//	plan.go      cox plan: what an update will do (package plan foresees it)
//	simulate.go  cox simulate: a Deployment and its updates with faults (package sim plays it)
//	rollout.go   cox rollout undo and diff
//	net.go       cox net: where Services lead; cox net check: why not (package diagnose says it)
//
// A command writes its result to its output, returns an error that says in one
// sentence what is wrong and what to do, and ends with the code of ExitCode.
package cli
