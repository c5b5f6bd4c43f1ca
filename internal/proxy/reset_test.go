package proxy

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/network/networktest"
)

// A client whose connection was reset by a Pod that ended may use its port
// again at once, and must not be led to that Pod by what conntrack remembers.
func TestAPortIsUsedAgainAfterAReset(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	b.ServeNames(t, 8080)
	var listener net.Listener
	if err := a.Do(func() (err error) { listener, err = net.Listen("tcp4", ":8080"); return err }); err != nil {
		t.Fatal(err)
	}
	c.service("web", "10.96.0.20")
	for name, dial := range map[string]func(net.Dialer) (net.Conn, error){
		"from a Pod": func(d net.Dialer) (conn net.Conn, err error) {
			return conn, client.Do(func() (err error) { conn, err = d.Dial("tcp4", "10.96.0.20:80"); return err })
		},
		"from the host": func(d net.Dialer) (net.Conn, error) { return d.Dial("tcp4", "10.96.0.20:80") },
	} {
		t.Run(name, func(t *testing.T) {
			c.endpoints("web", a)
			c.awaitOffered(a.Addr)
			sameAgain := net.Dialer{Timeout: networktest.DialTimeout, LocalAddr: &net.TCPAddr{Port: 40404}, Control: reuseAddress}
			conn, err := dial(sameAgain)
			if err != nil {
				t.Fatal(err)
			}
			served, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			// The program ends: with something unread, its kernel resets.
			if _, err := conn.Write([]byte("?")); err != nil {
				t.Fatal(err)
			}
			served.(*net.TCPConn).SetLinger(0)
			served.Close()
			conn.SetReadDeadline(time.Now().Add(networktest.DialTimeout))
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Fatal("the connection was not reset")
			}
			conn.Close()
			c.endpoints("web", b)
			c.awaitUnrouted(a.Addr)
			again := func(network, address string) (net.Conn, error) { return dial(sameAgain) }
			if name, _, err := ask(again, "tcp", "10.96.0.20:80"); name != "b" {
				t.Errorf("%q answered, and %v", name, err)
			}
		})
	}
	listener.Close()
}

func reuseAddress(_, _ string, conn syscall.RawConn) (err error) {
	controlErr := conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	if controlErr != nil {
		return controlErr
	}
	return err
}
