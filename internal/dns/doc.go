// Package dns answers Pods' questions for names, by the Kubernetes DNS-based
// service discovery specification (1.1.0), and passes what is not about the
// cluster on to the resolvers of this machine.
//
// The server listens on the gateway address, which the Service kube-dns leads
// to (EnsureService). Answers about the cluster come from informers' memory:
// zone.go says which name has which records, records.go finds the objects.
// What is passed on is cached shortly (forward.go), and an upstream that is dead
// is left alone for a while (upstream.go), so that Pods get an error instead of
// a wait.
//
// A Pod of a headless Service that stops leaves the answers before it is told
// to: the agent asks Unrouted (withdraw.go), and answers about endpoints may not
// be remembered.
package dns
