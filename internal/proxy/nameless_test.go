package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/network/networktest"
)

// A resolver that hears of a closed port gives up, one that hears nothing asks
// again. So it hears of every port but that of the name server.
func TestNobodyHearsThatNamesAreNotAnswered(t *testing.T) {
	c := startCluster(t)
	client := c.NewPod(t, "client")
	gateway := c.Gateway().String()
	for _, network := range []string{"udp", "tcp"} {
		if err := heard(client, network, net.JoinHostPort(gateway, "54"), 10*time.Second); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s port 54: %v, want a refusal", network, err)
		}
		if err := heard(client, network, net.JoinHostPort(gateway, "53"), 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s port 53: %v, want nothing to be heard", network, err)
		}
	}
}

// A client whose SYN nobody has answered gets in when the server is back.
func TestNamesAreAnsweredWhenTheServerIsBack(t *testing.T) {
	c := startCluster(t)
	client := c.NewPod(t, "client")
	address := net.JoinHostPort(c.Gateway().String(), "53")
	answered := make(chan error, 1)
	go func() { answered <- heard(client, "tcp", address, 20*time.Second) }()
	awaitSecondSYN(t, client)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go networktest.AnswerNames("server", listener)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// awaitSecondSYN waits until the kernel of a Pod has sent a SYN once more.
func awaitSecondSYN(t *testing.T, pod *networktest.Pod) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var sockets []byte
		if err := pod.Do(func() (err error) { sockets, err = os.ReadFile("/proc/thread-self/net/tcp"); return err }); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(sockets)) {
			// State 02 is SYN_SENT; the seventh field counts what was sent again.
			if fields := strings.Fields(line); len(fields) > 6 && fields[3] == "02" && strings.Trim(fields[6], "0") != "" {
				return
			}
		}
	}
	t.Fatalf("%s has sent no SYN once more after 10 s", pod.Name)
}

// heard is what a client hears that sends something, nil for an answer.
func heard(client *networktest.Pod, network, address string, limit time.Duration) error {
	var conn net.Conn
	err := client.Do(func() (err error) { conn, err = net.DialTimeout(network, address, limit); return err })
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	} else if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprint(conn, "anybody?"); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 16))
	return err
}
