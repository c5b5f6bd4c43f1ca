// Package sim tries the rollout and replica controllers in a simulated world.
//
// A World holds Deployments, ReplicaSets and Pods as an API server would, and
// everything that acts on them: the production controllers (package reconcile
// over the cores rollout and replicas), a kubelet, a garbage collector, users
// who change their minds, and faults. One seed draws a schedule of all their
// steps; the same seed gives the same steps, byte for byte.
//
//	world.go       the objects, the clock, and one step
//	table.go       one kind: what is stored, its history, a cache that lags
//	api.go         the API that the controllers write to
//	process.go     the controllers' process: queues, crash, restart
//	pods.go        the kubelet and the scheduler
//	garbage.go     the garbage collector
//	user.go        what users do
//	faults.go      what goes wrong
//	relist.go      watch events that are dropped, and that come twice
//	invariants.go  what has to hold after every step
//	rest.go        what has to hold when all is calm
//	run.go         one schedule, from its seed
//	search.go      all interleavings of a small rollout, instead of some
//	branches.go    what may follow a state
//	state.go       copies of a world, and what tells two of them apart
//	digest.go      64 bits for what tells them apart
//	trace.go       what happened, for people
//
// A Scenario is the other way to use such a World: a user's own Deployment,
// its updates, and faults by name, for `cox simulate`. The controllers act as
// soon as they can, Pods take their time, and the Story says what happened.
//
//	scenario.go    what goes in and what comes out
//	play.go        time goes by
//	play_pods.go   Pods start and stop
//	play_faults.go the faults that can be named
//	recorder.go    the time line
//	bounds.go      what a Deployment promises, and who broke it
//	verdict.go     the end of it
//	story_text.go  all of it, for people
//
// There is no goroutine and no clock here: a schedule is a plain computation.
package sim
