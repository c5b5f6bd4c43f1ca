package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"coxswain.dev/cox/internal/network/networktest"
)

// What a number of Services costs those who use one, and what one costs at
// all: each figure stands beside the same to the Pod's own address, measured
// in turn with it. "x-direct" above 1 is dearer for latency, and better for
// rates and throughput.

const (
	rateClients     = 4
	connectsPerTurn = 100
	bytesPerTurn    = 64 << 20
)

// asked is the address of the last Service of manyServices.
const asked = "10.97.0.1:80"

// startServed makes a Pod that handles its connections so, one that asks, and
// a number of Services of which the last leads to the first.
func startServed(b *testing.B, services int, handle func(net.Conn)) (client *networktest.Pod, direct string) {
	b.Helper()
	n := networktest.Setup(b)
	server, client := n.NewPod(b, "server"), n.NewPod(b, "client")
	var listener net.Listener
	if err := server.Do(func() (err error) {
		listener, err = net.Listen("tcp4", ":8080")
		return err
	}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
	at := netip.AddrPortFrom(server.Addr, 8080)
	if err := benchKernel(b, n).rebuild(manyServices(services, at), noGuards); err != nil {
		b.Fatal(err)
	}
	return client, at.String()
}

// hangUp lets the client close first, so that it is known to be done.
func hangUp(conn net.Conn) { io.Copy(io.Discard, conn); conn.Close() }

// BenchmarkFirstPacket is from a client's first packet to the first answer: a
// TCP handshake, which is all that the rules see of a connection.
func BenchmarkFirstPacket(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			client, direct := startServed(b, size, hangUp)
			var byService, byAddress []time.Duration
			b.ResetTimer()
			if err := client.Do(func() error {
				for range b.N {
					for address, took := range map[string]*[]time.Duration{asked: &byService, direct: &byAddress} {
						start := time.Now()
						conn, err := net.DialTimeout("tcp4", address, networktest.DialTimeout)
						if err != nil {
							return err
						}
						*took = append(*took, time.Since(start))
						conn.Close()
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			service, address := median(byService), median(byAddress)
			b.ReportMetric(float64(service.Nanoseconds())/1000, "µs-p50")
			b.ReportMetric(float64(service)/float64(address), "x-direct")
		})
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkConnectionRate is how many connections a second a few clients make
// and close, one after the other.
func BenchmarkConnectionRate(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			client, direct := startServed(b, size, hangUp)
			var byService, byAddress time.Duration
			b.ResetTimer()
			for range b.N {
				byService += connectMany(b, client, asked)
				byAddress += connectMany(b, client, direct)
			}
			made := float64(b.N * rateClients * connectsPerTurn)
			b.ReportMetric(made/byService.Seconds(), "connections/s")
			b.ReportMetric(float64(byAddress)/float64(byService), "x-direct")
		})
	}
}

// connectMany is how long the clients take for connectsPerTurn each.
func connectMany(b *testing.B, client *networktest.Pod, address string) time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for range rateClients {
		all.Go(func() {
			if err := client.Do(func() error {
				for range connectsPerTurn {
					conn, err := net.DialTimeout("tcp4", address, networktest.DialTimeout)
					if err != nil {
						return err
					}
					conn.Close()
				}
				return nil
			}); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// BenchmarkThroughput is what one connection carries.
func BenchmarkThroughput(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("services=%d", size), func(b *testing.B) {
			received := make(chan struct{}, 1)
			client, direct := startServed(b, size, func(conn net.Conn) {
				defer conn.Close()
				buffer, total := make([]byte, 1<<20), int64(0)
				for {
					n, err := conn.Read(buffer)
					total += int64(n)
					for ; total >= bytesPerTurn; total -= bytesPerTurn {
						received <- struct{}{}
					}
					if err != nil {
						return
					}
				}
			})
			turn := func(conn net.Conn) time.Duration {
				chunk, start := make([]byte, 1<<20), time.Now()
				for range bytesPerTurn / len(chunk) {
					if _, err := conn.Write(chunk); err != nil {
						b.Fatal(err)
					}
				}
				<-received
				return time.Since(start)
			}
			service, address := mustDial(b, client, asked), mustDial(b, client, direct)
			var byService, byAddress time.Duration
			b.ResetTimer()
			for range b.N {
				byService += turn(service)
				byAddress += turn(address)
			}
			b.ReportMetric(float64(b.N)*bytesPerTurn/(1<<20)/byService.Seconds(), "MiB/s")
			b.ReportMetric(float64(byAddress)/float64(byService), "x-direct")
		})
	}
}

func mustDial(b *testing.B, client *networktest.Pod, address string) net.Conn {
	b.Helper()
	conn, err := client.Dial("tcp4", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}
