// Package autoscale is the HorizontalPodAutoscaler controller, as one pure
// function.
//
// Decide takes a Snapshot (an autoscaler, how large its target is, the target's
// Pods and what they use) and returns the size that the target is to get, and
// the status. The algorithm, its constants and its words are Kubernetes' own
// (https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/):
// every metric proposes a size, the greatest is taken (metrics.go), and then it
// is held back by what was proposed lately, by how fast may be scaled, and by
// the bounds (limits.go).
//
// What was proposed and done lately is the History: it comes with the snapshot
// and goes with the decision, and whoever calls keeps it.
//
// One thing is otherwise: what goes wrong is told in an event once, not again
// every 15 seconds. The condition says it as long as it lasts.
package autoscale
