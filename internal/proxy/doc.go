// Package proxy makes the kernel do what package routing decides: connections
// to a Service are sent to one of its endpoints, by nftables, without a copy
// of any packet ever reaching this process.
//
// # The rules
//
// There is one table, with a fixed number of maps (skeleton.go). A new
// connection is looked up in the map "services" by its destination, which leads
// to the chain of a class: there is one for each number of endpoints, shared by
// all Services that have so many. That chain rolls a die with as many sides, and
// the map "endpoints" tells, by destination and number, where to. So the cost
// of a connection is that of two look-ups in hashes, whether there are ten
// Services or twenty thousand, and a change of a Service touches a few elements
// of two maps and no rule. Packets of known connections see none of this, as
// nat chains are only asked about the first packet. Services with affinity have
// chains of their own (sticky.go).
//
// The kernel switches to a new generation of rules at once, but a packet under
// way can look one map up before and the other one after. When the number of
// endpoints shrinks in between, its roll finds nothing; the chain's last rule
// then takes endpoint 0, which always exists. Such a packet is never refused.
//
// Nobody hears of it when the name server does not listen, while cox restarts
// (nameless.go): resolvers ask again.
//
// # Policies
//
// What NetworkPolicies allow (package policy) is in chains of the same table,
// one for each isolated Pod and direction, found by the Pod's address in a map:
// a connection costs the rules of its own two Pods, however many policies there
// are, and packets of known connections nothing. Pods that were not decided
// about yet are shut while there is any policy, and their containers start when
// they have been (Judged). See guards.go.
//
// # The life of the rules
//
// They stay while cox is down. When it starts, it reads everything first and
// then puts its own table in the place of the old one in a single transaction.
// From then on it waits for informers, and for the kernel's word that somebody
// else has changed our table, which is then rebuilt.
package proxy
