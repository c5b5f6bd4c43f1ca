// Package plan foresees what an update of a Deployment will do.
//
// Make takes an Input: the Deployment before and after, what else is in the
// cluster, and a Model of how Pods behave. It runs the controllers' own cores
// (rollout, replicas, placement, quota) on a copy of that world, on a clock of
// its own, until nothing changes any more, and returns the Plan: what differs,
// every wave with its counts and its cause, how long it takes, and what would
// stop it. A file holds one part of the world:
//
//	plan.go        what goes in and what comes out
//	world.go       the copy, and its clock
//	deployment.go  the Deployment controller's decisions, applied: the waves
//	sets.go        the ReplicaSets' decisions, applied
//	pods.go        the Model: how a Pod starts and stops
//	room.go        nodes, and what is free on them
//	nodes.go       what helps where no node takes a Pod
//	charge.go      quotas, and what is left of them
//	problems.go    what stops it, and what is to be known
//	outcome.go     how it ends
//	references.go  what a Pod needs to be there, such as a ConfigMap
//	starts.go      what keeps a Pod from starting whatever is there
//
// It knows no rule of a rollout itself, changes nothing that it is given, and
// asks nobody: whoever calls it has looked.
package plan
