// Package network prepares the host for Pods: a device of ours that holds the
// gateway address, forwarding, the routes of the Pod and the Service range,
// and the configuration of the CNI plugin (package cni), which does the rest
// for each Pod. Service rules are package proxy's. Where another firewall of the
// host would drop packets of Pods, it has a rule of ours let them through
// (OpenFirewalls), and keeps it there.
//
// Everything it makes carries our names (Device, cni.LinkPrefix,
// cni.RouteProtocol), so that Setup finds what an earlier run left and
// Teardown knows what to remove. Instances in different network namespaces do
// not see each other.
package network
