// Package registry turns declarative descriptions of Kubernetes kinds into the
// REST storage that k8s.io/apiserver serves.
//
// A kind is one value of type Kind in one file of a sub-package (core, apps,
// rbac, …): its names, its strategy as typed hooks, and its columns. Build
// makes the storage for it and for its subresources. The package knows nothing
// of HTTP, of authentication or of how etcd is reached.
package registry
