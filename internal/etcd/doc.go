// Package etcd runs the store: one etcd member inside this process, reached
// through a unix socket.
//
// What goes in is a directory and a socket path; what comes out is an endpoint
// that k8s.io/apiserver's storage dials. Every acknowledged write is on disk
// (fsync stays on). The package compacts old revisions as they grow in number,
// never by the clock, so that an idle store writes nothing.
package etcd
