// Package peers carries between machines what each machine's proxy has in
// force.
//
// A Pod is told to stop when no proxy leads anybody to it any more (SPEC N4),
// and counts as available when all do. The proxy of its own machine is asked
// directly; those of others are known by what they write: each keeps a Lease
// whose annotation says up to which revision of the EndpointSlices its rules
// follow the API. A Pod's machine knows the revision from which on the Pod is
// listed as it should be, and waits until every Ready machine has that.
//
// So a change of many Pods is one write of each machine, and a machine that has
// no peers writes nothing.
package peers
