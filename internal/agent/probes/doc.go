// Package probes runs the probes of containers: HTTP, TCP, commands and gRPC,
// with the periods, thresholds and words of Kubernetes.
//
// One thing is better here. A program needs a moment until it listens, and a
// first probe that comes too early would cost a whole period. So, until a
// readiness or startup probe has succeeded for the first time, it is also tried
// in between, soon after the start and then less and less often. These early
// tries only look for success: a failed one counts for nothing.
package probes
