// Package discovery has the rules of the discovery.k8s.io kinds.
package discovery
