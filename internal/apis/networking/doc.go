// Package networking has the rules of the networking.k8s.io kinds.
package networking
