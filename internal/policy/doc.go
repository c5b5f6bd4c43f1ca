// Package policy decides which connections NetworkPolicies let through. It is
// pure: Pods, Namespaces and policies in, what each Pod of this node may do as
// data out; no kernel, no clock.
//
// The rules are those of networking.k8s.io/v1: a Pod that no policy selects may
// do everything; one that is selected, in the directions that the policies
// name, only what one of them allows. Both ends have to allow a connection.
// What a Pod sends to itself is always let through, and what its node sends it
// (probes, for one) never asked about.
package policy
