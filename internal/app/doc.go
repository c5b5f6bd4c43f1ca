// Package app builds and owns everything that runs in a cox process.
//
// It alone knows the concrete adapters: it makes the store, the API server,
// the engine, the network, the controllers, the agent, the proxy and the DNS
// server from one Config, starts them in the order in which they need each
// other, and stops them in the reverse order. Nothing in it decides anything
// about Pods.
package app
