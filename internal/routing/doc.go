// Package routing decides where connections to Services go. It is pure: one
// Service with its EndpointSlices in, rules as data out; no kernel, no clock.
//
//   - Decide turns a Service into Rules: for each Frontend (an address, a
//     protocol, a port that clients connect to) the Endpoints that it may lead
//     to, or what happens because there is none.
//   - HostPorts does the same for the host ports of a Pod.
//   - Table puts the Rules of all owners together and settles who gets a
//     Frontend that two of them want. It says which Frontends a change touches,
//     so that what applies the rules can leave all others alone.
//
// Which endpoints count follows upstream's rules (KEP-1669): the ready ones; if
// there are none, those that terminate but still serve; if there are none of
// these either, the client is refused at once, or with a Local traffic policy
// left without an answer, as another node may give one.
package routing

// TableName is the nftables table that holds everything of ours.
const TableName = "coxswain"
