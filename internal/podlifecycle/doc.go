// Package podlifecycle decides what the agent does with one Pod.
//
// Decide reads a Snapshot (the Pod, what the container runtime shows, the
// results of probes and of earlier tries, the time) and answers with a
// Decision: the actions to begin now, the status to publish, which probes have
// to run, and when to ask again if nothing happens before.
//
// It is level-triggered: every action that it gives is named by a key, and an
// action which is under way, or whose effect is observed, is not given again.
// What has to be remembered between two calls (restart counts, back-off, which
// definition a container was made of) stands on the containers themselves, so
// that a restarted agent goes on as if nothing had happened.
//
// The words of the status (phases, reasons, messages) are Kubernetes v1.37's.
// Differences, wanted: a Pod that is deleted is first taken out of its
// Services, and is told to stop only when that is acknowledged (SPEC N4); the
// grace period ends at the Pod's deletionTimestamp.
//
// The package does no I/O and reads no clock.
package podlifecycle
