// Package traffic sends requests at a constant rate through every way into a
// Service while its Deployment is updated, scaled, restarted and rolled back,
// and while cox is killed, and counts what became of each.
//
// `go test` sends for a short while, `make soak-traffic` for as long as wanted.
package traffic
