package lifecycle

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"coxswain.dev/cox/test/harness"
)

const peers = `
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: http-go}, ports: [{port: 8080}]}
`

// Issue 4: clients of a headless Service connect to Pods by themselves. Whoever
// asks DNS before each connection, as a TTL of 0 says, never meets a Pod that
// is gone.
func TestNoAnswerNamesAPodThatWasToldToStop(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "3")
	instance.Apply(peers)
	eventually(t, "DNS names all Pods", func() bool { found, err := resolve(instance); return err == nil && len(found) == 3 })

	updated := make(chan struct{})
	go func() {
		defer close(updated)
		instance.Kubectl("rollout", "restart", "deployment", "http-go")
		instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	}()
	connected := 0
	for updating := true; updating; {
		select {
		case <-updated:
			updating = false
		default:
		}
		found, err := resolve(instance)
		if err != nil || len(found) == 0 {
			t.Fatalf("DNS answers with %q: %v", found, err)
		}
		// One of them in turn, as the next is asked for by name again.
		if err := connect(instance, found[connected%len(found)]); err != nil {
			t.Errorf("connection %d: %v", connected, err)
		}
		connected++
	}
	t.Logf("%d connections", connected)
}

// resolve asks the name server for the Pods of peers.
func resolve(instance *harness.Instance) (addresses []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request := new(dns.Msg)
	request.SetQuestion("peers.default.svc.cluster.local.", dns.TypeA)
	var reply *dns.Msg
	if err := instance.Inside(func() (err error) {
		reply, _, err = new(dns.Client).ExchangeContext(ctx, request, "10.96.0.10:53")
		return err
	}); err != nil {
		return nil, err
	}
	for _, rr := range reply.Answer {
		if rr.Header().Ttl != 0 {
			return nil, fmt.Errorf("%s may be remembered for %d s", rr, rr.Header().Ttl)
		}
		addresses = append(addresses, rr.(*dns.A).A.String())
	}
	return addresses, nil
}

func connect(instance *harness.Instance, address string) error {
	return instance.Inside(func() error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "8080"), 2*time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// cox net counts what is open at the moment.
func TestNetCountsWhatIsOpen(t *testing.T) {
	t.Parallel()
	instance := startWithHTTPGo(t, "1")
	instance.Kubectl("expose", "deployment", "http-go", "--port=80", "--target-port=8080")
	address := instance.Kubectl("get", "service", "http-go", "-o", "jsonpath={.spec.clusterIP}")
	shows := func(want string) func() bool {
		return func() bool {
			shown := instance.Shell("cox net http-go --kubeconfig=" + instance.Kubeconfig)
			fields := strings.Fields(shown.Stdout)
			// … POD CONNECTIONS STATE, of which the last is "ready, routed".
			return len(fields) > 3 && fields[len(fields)-3] == want && strings.HasSuffix(strings.TrimSpace(shown.Stdout), "ready, routed")
		}
	}
	eventually(t, "no connection is shown", shows("0"))
	var open []net.Conn
	for range 3 {
		if err := instance.Inside(func() error {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "80"), 2*time.Second)
			open = append(open, conn)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three connections are shown", shows("3"))
	for _, conn := range open {
		conn.Close()
	}
	eventually(t, "no connection is shown any more", shows("0"))
}
