// Package rollout is the whole Deployment controller, as one pure function.
//
// Decide takes a Snapshot (a Deployment, its ReplicaSets and their Pods, and
// the time) and returns a Decision: what to change now, the status to write,
// the events to record, and when to look again if nothing happens. One call is
// one wave. It is level-triggered: after a Decision has been applied, the same
// observations give no further action.
//
// The rules are those of Kubernetes' Deployment controller
// (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/), with
// its reasons, messages and annotations. A file holds one part of them:
//
//	decide.go      which strategy applies, and the order of a wave
//	rolling.go     RollingUpdate: surge, unavailable, unhealthy Pods first
//	recreate.go    Recreate: never two versions at once
//	replacement.go when Pods on their way out are replaced
//	scale.go       a change of replicas, in proportion in mid-rollout
//	revision.go    the new ReplicaSet, its name, and the revisions of all
//	status.go      counts and conditions, progress and its deadline
//	rollback.go    a rollback asked for by annotation
//	cleanup.go     which old ReplicaSets are forgotten
//
// It must not read a clock, write a log or keep anything between two calls.
package rollout
