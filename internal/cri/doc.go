// Package cri keeps the engine: the containerd that cox ships.
//
// Start writes containerd's configuration, starts it in a session and a cgroup
// of its own, waits until CRI answers and brings in the pause image. The engine
// and the containers below it outlive cox: Close leaves them as they are, and
// the next Start finds the running engine by a record in the run directory and
// takes it up again. While cox lives, an engine that dies is started again;
// containers belong to their shims and do not notice.
//
// With Config.Endpoint set, somebody else runs the engine: Start then only
// checks that it answers.
//
// The package talks to containerd itself for two things only: images that come
// from a file, and containers that were never started, because a cox was killed
// meanwhile, and that CRI cannot end. Pods and containers are otherwise the
// agent's, through CRI.
//
// Directories, with R the run and D the data directory:
//
//	R/containerd/config.toml       what Start wrote
//	R/containerd/containerd.sock   CRI and containerd's own API
//	R/containerd/engine.json       which process is ours, and for what configuration
//	R/containerd/certs.d/          registry mirrors
//	R/containerd/state/, runc/, s/ volatile state of containerd, runc and the shims
//	D/containerd/                  images, snapshots, metadata
//	D/logs/containerd.log          bounded, one older file is kept
package cri
