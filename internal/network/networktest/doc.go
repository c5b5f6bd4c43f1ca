// Package networktest lets tests have a host and Pods of their own, without
// touching the machine's network: Main runs a package's tests in a new network
// namespace, which is gone with the process however that ends, and Pods are
// namespaces connected to it by the real CNI plugin.
package networktest
