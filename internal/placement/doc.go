// Package placement chooses a node for a Pod, as one pure function.
//
// Decide takes a Pod, the nodes, and what is on them, and returns the node that
// fits best, or why none fits, in the words of Kubernetes' scheduler
// (https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/).
// It looks at node name, selector and affinity, taints, resources, host ports
// and at how many Pods a node may have. Of those that fit, the one with the
// most free CPU and memory is taken.
package placement
