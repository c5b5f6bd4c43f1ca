// Package apitest starts a whole API server with its store inside a test.
//
// It is meant for tests of kinds and controllers: everything is real (etcd on
// disk, TLS on a free loopback port, authorization, admission), only the
// directory is temporary.
package apitest
