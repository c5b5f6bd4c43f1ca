package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"

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
		putService(table, i, 0)
	}
	table.Put(routing.Owner{Kind: kindService, Name: "asked"}, routing.Rules{{
		Frontend: routing.Frontend{Addr: netip.MustParseAddr("10.97.0.1"), Protocol: routing.TCP, Port: 80}, Endpoints: asked,
	}})
	return table
}

// putService sets one Service, whose endpoints are of a variant: 0 and 1 have
// three, of which one differs; 2 has two.
func putService(table *routing.Table, i, variant int) []routing.Frontend {
	addr := netip.AddrFrom4([4]byte{10, 100, byte(i >> 8), byte(i)})
	var endpoints []routing.Endpoint
	for e := range 3 {
		endpoints = append(endpoints, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i + e)}), 8080))
	}
	switch variant {
	case 1:
		endpoints[2] = netip.AddrPortFrom(endpoints[2].Addr(), 8081)
	case 2:
		endpoints = endpoints[:2]
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
			if err := k.rebuild(manyServices(size, direct), noGuards); err != nil {
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

// BenchmarkReplace is one endpoint that takes the place of another among so
// many Services, from the rules of the core to the kernel's word that it is in
// force; BenchmarkScale is one more or one less. "x-one" is the time against
// the same change when there is no other Service.
func BenchmarkReplace(b *testing.B) { benchUpdate(b, 0, 1) }
func BenchmarkScale(b *testing.B)   { benchUpdate(b, 0, 2) }

func benchUpdate(b *testing.B, variants ...int) {
	var one float64
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			n := networktest.Setup(b)
			k := benchKernel(b, n)
			table := manyServices(size + 1)
			if err := k.rebuild(table, noGuards); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				if err := k.update(table, putService(table, 0, variants[(i+1)%len(variants)]), noGuards); err != nil {
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
				if err := k.rebuild(table, noGuards); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(size), "µs/service")
		})
	}
}

// BenchmarkLook is a look at the connections of one Pod that stops, of 20 on a
// machine with 20,000 connections. "x-all" is the time against reading all.
func BenchmarkLook(b *testing.B) {
	networktest.Setup(b)
	conn, err := conntrack.Dial(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const connections, pods, lifetime = 20_000, 20, 600
	pod := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 244, 0, byte(2 + i%pods)}) }
	for i := range connections {
		client := netip.AddrFrom4([4]byte{192, 0, byte(2 + i>>8), byte(i)})
		if err := conn.Create(conntrack.NewFlow(byte(routing.UDP), 0, client, pod(i), 4000, 8080, lifetime, 0)); err != nil {
			b.Fatal(err)
		}
	}
	var one, all time.Duration
	for b.Loop() {
		began := time.Now()
		flows, err := listFlows(only{server: pod(0)})
		one += time.Since(began)
		if err != nil || len(flows) != connections/pods {
			b.Fatalf("%d flows, %v", len(flows), err)
		}
		began = time.Now()
		if flows, err = listFlows(only{}); err != nil || len(flows) < connections {
			b.Fatalf("%d flows, %v", len(flows), err)
		}
		all += time.Since(began)
	}
	b.ReportMetric(float64(one.Microseconds())/float64(b.N), "µs/look")
	b.ReportMetric(float64(one)/float64(all), "x-all")
}
