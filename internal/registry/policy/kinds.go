// Package policy describes the kinds of the policy group.
package policy

import "coxswain.dev/cox/internal/registry"

// Kinds returns every resource of the group. budgets is what evictions ask.
func Kinds(budgets *Budgets) []registry.Builder {
	return []registry.Builder{podDisruptionBudget(budgets)}
}
