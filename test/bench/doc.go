// Package bench measures whole instances, as a user would feel them: how fast
// they start, what they cost while nothing happens, and how fast Deployments
// move. `make bench` runs it.
//
// Every figure that depends on the machine's speed stands beside a ratio to
// something that was run in the same go: the container runtime's own floor
// (bare CRI calls on the same engine) or the bare API (ConfigMaps).
package bench
