package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"coxswain.dev/cox/internal/network/networktest"
	"coxswain.dev/cox/internal/routing"
)

// echo makes a Pod answer everything on a port with what it was sent.
func echo(t *testing.T, pod *networktest.Pod, port string) {
	t.Helper()
	var listener net.Listener
	err := pod.Do(func() (err error) {
		listener, err = net.Listen("tcp", ":"+port)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
}

// drained runs Drained and tells how long it took.
func drained(c *cluster, pod *networktest.Pod, limit time.Duration) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	start := time.Now()
	err = c.proxy.Drained(ctx, routing.Leaving{IP: pod.Addr})
	return time.Since(start), err
}

// talk sends something every few milliseconds until the returned function is
// called, which hangs up.
func talk(t *testing.T, conn net.Conn) (stop func()) {
	ended := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(ended)
		answer := make([]byte, 1)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := conn.Write([]byte{'?'}); err != nil {
				t.Errorf("the connection broke: %v", err)
				return
			}
			if _, err := io.ReadFull(conn, answer); err != nil {
				t.Errorf("the connection broke: %v", err)
				return
			}
		}
	}()
	return func() { close(quit); <-ended; conn.Close() }
}

func TestDrainingWaitsForConnectionsInUse(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "a")
	echo(t, pod, "8080")
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	conn, err := fromHost("tcp", service.Spec.ClusterIP+":80")
	if err != nil {
		t.Fatal(err)
	}
	hangUp := talk(t, conn)
	c.endpoints("web")
	c.awaitUnrouted(pod.Addr)

	if _, err := drained(c, pod, 2*quietTime); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a connection in use counts as drained: %v", err)
	}
	// The connection outlives the Service's interest in the Pod.
	result := make(chan error, 1)
	go func() {
		_, err := drained(c, pod, 10*time.Second)
		result <- err
	}()
	select {
	case err := <-result:
		t.Fatalf("it ended while the connection is in use: %v", err)
	case <-time.After(2 * quietTime):
	}
	hangUp()
	if err := <-result; err != nil {
		t.Errorf("after the client hung up: %v", err)
	}
}

func TestAnIdleConnectionHoldsNobodyUp(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "a")
	echo(t, pod, "8080")
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	conn, err := fromHost("tcp", service.Spec.ClusterIP+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	took, err := drained(c, pod, 10*time.Second)
	if err != nil || took < quietTime {
		t.Errorf("it took %v (%v), want %v of quiet", took, err, quietTime)
	}
}

// Who asked for a way in before the rules changed may only now be on it.
func TestWithoutConnectionsThoseUnderWayAreWaitedFor(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "a")
	echo(t, pod, "8080")
	c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	if took, err := drained(c, pod, 10*time.Second); err != nil || took < quietTime {
		t.Errorf("it took %v (%v), want %v", took, err, quietTime)
	}
}

func TestAPodOfNoServiceIsNotWaitedFor(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "a")
	echo(t, pod, "8080")
	conn, err := fromHost("tcp", pod.Addr.String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer talk(t, conn)()
	if took, err := drained(c, pod, 10*time.Second); err != nil || took >= quietTime {
		t.Errorf("it took %v: %v", took, err)
	}
}

func TestANewProxyKnowsWhatCameThroughAService(t *testing.T) {
	c := startCluster(t)
	pod := c.NewPod(t, "a")
	echo(t, pod, "8080")
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	conn, err := fromHost("tcp", service.Spec.ClusterIP+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer talk(t, conn)()
	c.stop()
	c.endpoints("web")
	c.start()
	c.awaitUnrouted(pod.Addr)
	if _, err := drained(c, pod, 2*quietTime); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection in use counts as drained: %v", err)
	}
}

func connectionsTo(t *testing.T, pod *networktest.Pod) map[connection]uint64 {
	t.Helper()
	open, err := openConnections(only{})
	if err != nil {
		t.Fatal(err)
	}
	return open[pod.Addr]
}

// A client that was cut off sends from the same port again: it must not be led
// to the Pod that is gone.
func TestConnectionsOfAPodThatIsGoneAreForgotten(t *testing.T) {
	c := startCluster(t)
	pod, other := c.NewPod(t, "a"), c.NewPod(t, "b")
	echo(t, pod, "8080")
	service := c.service("web", "10.96.0.20")
	c.endpoints("web", pod)
	c.awaitOffered(pod.Addr)
	conn, err := fromHost("tcp", service.Spec.ClusterIP+":80")
	if err != nil {
		t.Fatal(err)
	}
	client := conn.LocalAddr().(*net.TCPAddr)
	if open := connectionsTo(t, pod); len(open) != 1 {
		t.Fatalf("there are %v, want one connection", open)
	}
	if _, err := c.Plugin("DEL", "a", pod.Namespace, nil); err != nil {
		t.Fatal(err)
	}
	if open := connectionsTo(t, pod); len(open) != 0 {
		t.Errorf("still known: %v", open)
	}

	echo(t, other, "8080")
	c.endpoints("web", other)
	c.awaitOffered(other.Addr)
	c.awaitUnrouted(pod.Addr)
	conn.(*net.TCPConn).SetLinger(0) // the port is free at once
	conn.Close()
	dialer := net.Dialer{LocalAddr: client, Timeout: networktest.DialTimeout}
	again, err := dialer.Dial("tcp", service.Spec.ClusterIP+":80")
	if err != nil {
		t.Fatalf("from the same port again: %v", err)
	}
	again.Close()
}
