// Package reconcile runs the cores rollout and replicas against an API: it
// makes their snapshots from caches, and does what they decide.
//
// It knows caches (Store), writers (Client), a clock and a source of names only
// by narrow interfaces. Package controllers gives it informers and client-go;
// package sim gives it a simulated world. Both run the same code, so that what
// the simulator has tried is what runs.
//
// A controller remembers its own writes (OwnWrites) and looks at an object
// again only when the caches have caught up with them.
package reconcile
