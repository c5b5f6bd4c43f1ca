// Package cni is the Pod network's CNI plugin: cmd/cox-cni calls Main, and the
// container runtime calls that program once for every sandbox it makes or
// removes.
//
// A Pod gets one veth pair and one /32 address. There is no bridge: the host
// has a route to the Pod's address through the host's end, and the Pod has a
// default route through the gateway address, which lives on a device of the
// host (package network). Both ends know the other's link address for good, so
// that no ARP is ever sent and the first packet is as fast as the others.
// Every packet between Pods is forwarded by the host, and so passes conntrack
// and the Service rules whether br_netfilter is loaded or not.
//
// Addresses are files, see Reservations. What a Pod was given is found again
// by the names of files and links only: the plugin keeps no other state, and
// a crash at any point leaves nothing that a DEL does not remove.
//
// The program starts often and must start fast: it imports nothing of
// Kubernetes.
package cni
