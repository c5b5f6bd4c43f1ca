// Package networking describes the kinds of the networking.k8s.io group.
package networking

import "coxswain.dev/cox/internal/registry"

// Kinds returns every resource of the group.
func Kinds() []registry.Builder {
	return []registry.Builder{networkPolicy(), ingress(), ingressClass()}
}
