// Package agent runs the Pods of one node on a container runtime.
//
// For every Pod there is a worker: it observes (what the API says of the Pod,
// what the runtime has of it, results of probes and of its own actions), asks
// the core podlifecycle what to do, begins the actions, and publishes the
// status. Nothing is polled. A worker sleeps until the Pod changes in the API,
// the runtime tells of one of its containers, an action or probe has a result,
// or the time comes that the core named.
//
// An agent that starts takes up what it finds: containers carry all that has
// to be known of them, and none is restarted because the agent was.
//
// The runtime is reached through CRI only, the API through client-go only. The
// node is registered with its capacity; while nothing happens, nothing is
// written.
//
// Sub-packages, each for one matter of a Pod: objects (ConfigMaps and Secrets
// in use), volumes, environ, downward, images, probes, cgroups, podlogs.
package agent
