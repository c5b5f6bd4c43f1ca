// Package placement chooses a node for a Pod, as one pure function.
//
// Decide takes a Pod, the nodes, and what is on them, and returns the node that
// fits best, or why none fits, in the words of Kubernetes' scheduler
// (https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/).
// It looks at what keeps a Pod out (filter.go): cordons, node name, taints, node
// selector and affinity, host ports, resources, topology spread, and Pods to be
// near or away from. Of the nodes that fit, what is preferred decides, then the
// most free CPU and memory (score.go). No Pod is thrown out for another.
package placement
