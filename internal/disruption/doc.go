// Package disruption keeps the PodDisruptionBudgets: how many of an
// application's Pods may be evicted at once, as pure functions.
//
// Decide is the controller of one budget: from the budget, the Pods of its
// namespace and how many their controllers want, it makes the status. An
// eviction asks that status: Guards says whether the Pod's budget has a say,
// and Spend takes one disruption out of it, or says why not. Between the two
// stands DisruptedPods: a Pod that was let go counts as gone at once, so that no
// two evictions spend the same disruption, however late the Pods' own changes
// are seen.
//
// The rules are those of policy/v1
// (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/,
// https://kubernetes.io/docs/tasks/run-application/configure-pdb/).
package disruption
