// Package coordination has the rules of the coordination.k8s.io kinds.
package coordination
