package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"coxswain.dev/cox/internal/network/networktest"
	"coxswain.dev/cox/internal/routing"
)

// The benchmarks print what a number of Services costs, as ratios against a
// connection that takes no Service rule and against a single Service. They
// drive the kernel directly: the API's part is not theirs.

var sizes = []int{1, 1_000, 20_000}

// manyServices is a table of Services with three endpoints each, of which the
// last is the one that is asked.
func manyServices(n int, asked ...routing.Endpoint) *routing.Table {
	table := &routing.Table{}
	for i := range n - 1 {
		putService(table, i, false)
	}
	table.Put(routing.Owner{Kind: kindService, Name: "asked"}, routing.Rules{{
		Frontend: routing.Frontend{Addr: netip.MustParseAddr("10.97.0.1"), Protocol: routing.TCP, Port: 80}, Endpoints: asked,
	}})
	return table
}

// putService changes one of its endpoints when it is moved.
func putService(table *routing.Table, i int, moved bool) []routing.Frontend {
	port := uint16(8080)
	if moved {
		port++
	}
	addr := netip.AddrFrom4([4]byte{10, 100, byte(i >> 8), byte(i)})
	var endpoints []routing.Endpoint
	for e := range 3 {
		endpoints = append(endpoints, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i + e)}), port))
	}
	return table.Put(routing.Owner{Kind: kindService, Name: fmt.Sprint(i)}, routing.Rules{{
		Frontend: routing.Frontend{Addr: addr, Protocol: routing.TCP, Port: 80}, Endpoints: endpoints,
	}})
}

func benchKernel(b *testing.B, n *networktest.Network) *kernel {
	b.Helper()
	k := newKernel(Config{PodCIDR: n.PodCIDR, ServiceCIDR: n.ServiceCIDR, Gateway: n.Gateway()})
	b.Cleanup(k.close)
	return k
}

// BenchmarkConnect is one TCP connection from a Pod to another, by its Service
// among so many, and its answer. "x-direct" is the time against a connection
// to the Pod's own address, made in turn with it.
func BenchmarkConnect(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			n := networktest.Setup(b)
			server, client := n.NewPod(b, "server"), n.NewPod(b, "client")
			server.ServeNames(b, 8080)
			direct := netip.AddrPortFrom(server.Addr, 8080)
			k := benchKernel(b, n)
			if err := k.rebuild(manyServices(size, direct)); err != nil {
				b.Fatal(err)
			}
			var byService, byAddress time.Duration
			b.ResetTimer()
			for range b.N {
				byService += timeAsk(b, client, "10.97.0.1:80")
				byAddress += timeAsk(b, client, direct.String())
			}
			b.ReportMetric(float64(byService.Microseconds())/float64(b.N), "µs/connection")
			b.ReportMetric(float64(byService)/float64(byAddress), "x-direct")
		})
	}
}

func timeAsk(b *testing.B, client *networktest.Pod, address string) time.Duration {
	start := time.Now()
	mustAsk(b, client.Dial, "tcp", address)
	return time.Since(start)
}

// BenchmarkUpdate is one change of an endpoint among so many Services, from
// the rules of the core to the kernel's word that it is in force. "x-one" is
// the time against the same change when there is no other Service.
func BenchmarkUpdate(b *testing.B) {
	var one float64
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			n := networktest.Setup(b)
			k := benchKernel(b, n)
			table := manyServices(size + 1)
			if err := k.rebuild(table); err != nil {
				b.Fatal(err)
			}
			moved := false
			b.ResetTimer()
			for range b.N {
				moved = !moved
				if err := k.update(table, putService(table, 0, moved)); err != nil {
					b.Fatal(err)
				}
			}
			each := float64(b.Elapsed()) / float64(b.N)
			if size == 1 {
				one = each
			}
			b.ReportMetric(each/one, "x-one")
		})
	}
}

// BenchmarkRebuild is the start of cox: all rules in one transaction.
func BenchmarkRebuild(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			n := networktest.Setup(b)
			k := benchKernel(b, n)
			table := manyServices(size + 1)
			b.ResetTimer()
			for range b.N {
				if err := k.rebuild(table); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(size), "µs/service")
		})
	}
}
