// Package metrics serves metrics.k8s.io: what nodes and Pods use now, as
// metrics-server does in a cluster. Nothing of it is stored. A request asks the
// agents of the nodes that it is about; what they answer is kept by them
// (docs/adr/0011-usage-on-demand.md).
package metrics
