package proxy

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestConnectionsAreCountedByWhereTheyLead(t *testing.T) {
	c := startCluster(t)
	pod, idle := c.NewPod(t, "a"), c.NewPod(t, "b")
	echo(t, pod, "8080")
	echo(t, idle, "8080")
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	count := func(addr netip.Addr) int {
		t.Helper()
		all, err := c.proxy.Connections()
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range all {
			if to.Endpoint == netip.AddrPortFrom(addr, 8080) && to.Protocol == "tcp" {
				return to.Count
			}
		}
		return 0
	}
	var open []net.Conn
	for _, address := range []string{service.Spec.ClusterIP + ":80", service.Spec.ClusterIP + ":80", pod.Addr.String() + ":8080"} {
		conn, err := fromHost("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	if got := count(pod.Addr); got != 3 {
		t.Errorf("%d connections, want 2 by the Service and one by the Pod's address", got)
	}
	if got := count(idle.Addr); got != 0 {
		t.Errorf("%d connections to a Pod that has none", got)
	}
	open[0].Close()
	for deadline := time.Now().Add(10 * time.Second); count(pod.Addr) != 2; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections 10 s after one was closed, want 2", count(pod.Addr))
		}
	}
}
