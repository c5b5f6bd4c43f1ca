package networktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"coxswain.dev/cox/internal/network"
)

// Network is a host made ready by network.Setup.
type Network struct {
	network.Config
	// BinDir holds the plugin.
	BinDir string
}

// Setup makes this namespace ready for Pods until the test ends.
func Setup(t testing.TB) *Network {
	t.Helper()
	dir := t.TempDir()
	n := &Network{
		Config: network.Config{
			PodCIDR:     netip.MustParsePrefix("10.244.0.0/16"),
			ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
			ConfDir:     filepath.Join(dir, "cni"),
			StateDir:    filepath.Join(dir, "state"),
		},
		BinDir: filepath.Dir(os.Getenv(pluginVariable)),
	}
	if err := network.Setup(n.Config); err != nil {
		t.Fatalf("network.Setup: %v", err)
	}
	t.Cleanup(func() {
		if err := network.Teardown(n.Config); err != nil {
			t.Errorf("network.Teardown: %v", err)
		}
	})
	return n
}

// Plugin runs the CNI plugin as a runtime does, and returns what it prints.
func (n *Network) Plugin(command, container, namespace string, extra map[string]any) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(n.ConfDir, "00-coxswain.conflist"))
	if err != nil {
		return nil, err
	}
	var list struct {
		Name    string
		Plugins []map[string]any
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, err
	}
	conf := list.Plugins[0]
	conf["cniVersion"], conf["name"] = "1.1.0", list.Name
	for key, value := range extra {
		conf[key] = value
	}
	stdin, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(n.BinDir, "cox-cni"))
	cmd.Env = []string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + container, "CNI_NETNS=" + namespace, "CNI_IFNAME=eth0", "CNI_PATH=" + n.BinDir}
	cmd.Stdin = bytes.NewReader(stdin)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("cox-cni %s: %w: %s%s", command, err, out.Bytes(), stderr.Bytes())
	}
	return out.Bytes(), nil
}

// Pod is a network namespace with an address.
type Pod struct {
	Name string
	Addr netip.Addr
	// Namespace is a path that the plugin can open.
	Namespace string
	handle    netns.NsHandle
}

// Namespace makes a Pod that is not connected yet. It ends with the test.
func Namespace(t testing.TB, name string) *Pod {
	t.Helper()
	var handle netns.NsHandle
	err := aside(func() (err error) {
		handle, err = netns.New()
		return err
	})
	if err != nil {
		t.Fatalf("making namespace %s: %v", name, err)
	}
	t.Cleanup(func() { handle.Close() })
	return &Pod{Name: name, handle: handle, Namespace: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(handle))}
}

// NewPod makes a Pod and connects it by the plugin.
func (n *Network) NewPod(t testing.TB, name string) *Pod {
	t.Helper()
	pod := Namespace(t, name)
	out, err := n.Plugin("ADD", name, pod.Namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		IPs []struct{ Address netip.Prefix }
	}
	if err := json.Unmarshal(out, &result); err != nil || len(result.IPs) != 1 {
		t.Fatalf("result of ADD is %s (%v)", out, err)
	}
	pod.Addr = result.IPs[0].Address.Addr()
	t.Cleanup(func() {
		if _, err := n.Plugin("DEL", name, pod.Namespace, nil); err != nil {
			t.Error(err)
		}
	})
	return pod
}

// Do calls f inside of the Pod. Sockets made by f stay in the Pod and can be
// used from anywhere; f must not start goroutines that make some.
func (p *Pod) Do(f func() error) error {
	return aside(func() error {
		if err := netns.Set(p.handle); err != nil {
			return err
		}
		return f()
	})
}

// DialTimeout bounds connections of tests, so that a lost packet is a failure
// and not a hang.
const DialTimeout = 2 * time.Second

// Dial connects from inside of the Pod.
func (p *Pod) Dial(network, address string) (conn net.Conn, err error) {
	err = p.Do(func() (err error) {
		conn, err = net.DialTimeout(network, address, DialTimeout)
		return err
	})
	return conn, err
}

// ServeNames listens in the Pod on TCP and UDP, and answers every connection
// and every packet with the Pod's name and where it came from:
// "name 10.244.0.1:1234".
func (p *Pod) ServeNames(t testing.TB, port int) {
	t.Helper()
	var tcp net.Listener
	var udp net.PacketConn
	err := p.Do(func() (err error) {
		address := fmt.Sprintf(":%d", port)
		if tcp, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp4", address); err != nil {
			return err
		}
		udp, err = net.ListenPacket("udp4", address)
		return err
	})
	if err != nil {
		t.Fatalf("listening in Pod %s: %v", p.Name, err)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	go AnswerNames(p.Name, tcp)
	go func() {
		buffer := make([]byte, 512)
		for {
			_, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			udp.WriteTo([]byte(fmt.Sprintf("%s %s", p.Name, from)), from)
		}
	}()
}

// AnswerNames answers every connection as ServeNames does, until the listener
// is closed.
func AnswerNames(name string, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%s %s", name, conn.RemoteAddr())
		conn.Close()
	}
}

// aside runs f on a thread of its own, which ends afterwards: whatever
// namespace f leaves it in is not left to others.
func aside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked, so that the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
