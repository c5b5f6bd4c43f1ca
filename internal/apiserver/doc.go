// Package apiserver serves the Kubernetes API: k8s.io/apiserver's generic server
// with this product's kinds, certificates, authentication, authorization and
// admission.
//
// New builds everything but opens only the listening sockets, Run serves until
// its context ends, and Ready tells when requests are answered. Code in this
// process talks to the server through ClientConfig, without TCP or TLS.
//
// The kinds themselves live in internal/registry; which of them are served is
// listed in groups.go and nowhere else.
package apiserver
