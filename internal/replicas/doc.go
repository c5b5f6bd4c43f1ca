// Package replicas is the ReplicaSet and the ReplicationController controller,
// as one pure function.
//
// Decide takes a Snapshot (a set and the Pods it may own) and returns which
// Pods to adopt, to release, to make and to delete, and the status. When there
// are too many Pods, those go first whose loss costs least; the ranking is
// Kubernetes' own
// (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset).
package replicas
