// Package controllers moves the actual state to the desired one.
//
// A controller is a small file: what it watches, how an event leads to a key,
// and what is done for a key. Where there is something to decide, a pure core
// decides (rollout, replicas, placement); the controller takes the snapshot
// from its informers and applies the decision. The loop around that is the same
// for all (driver.go): a queue, workers, retries with a bounded back-off, a
// time to wake up at.
//
// Controllers read their own writes. A key is reconciled only when the
// informers have reached everything that was written for it before
// (ownwrites.go), so that nothing is ever done twice because a cache lags.
//
// The package needs nothing but client-go: pointed at any API server, it works
// there.
package controllers
