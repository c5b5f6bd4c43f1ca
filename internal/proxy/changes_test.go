package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/network/networktest"
	"coxswain.dev/cox/internal/routing"
)

// hammer asks without pause from several places until stopped, and counts.
type hammer struct {
	stopping atomic.Bool
	running  sync.WaitGroup
	mu       sync.Mutex
	answers  map[string]int
	failures []string
}

// maxFailures bounds what a failing test prints.
const maxFailures = 5

func startHammer(address string, dialers ...dialer) *hammer {
	h := &hammer{answers: map[string]int{}}
	for _, dial := range dialers {
		for range 2 {
			h.running.Go(func() {
				for !h.stopping.Load() {
					name, _, err := ask(dial, "tcp", address)
					h.mu.Lock()
					if err == nil {
						h.answers[name]++
					} else if len(h.failures) < maxFailures {
						h.failures = append(h.failures, fmt.Sprint(time.Now().Format("05.000000 "), err))
					}
					h.mu.Unlock()
				}
			})
		}
	}
	return h
}

// awaitAnswers waits for so many further answers of anybody.
func (h *hammer) awaitAnswers(t *testing.T, n int) {
	t.Helper()
	want := h.total() + n
	deadline := time.Now().Add(20 * time.Second)
	for h.total() < want {
		if time.Now().After(deadline) {
			t.Fatalf("no %d further answers in 20 s; failures: %v", n, h.failures)
		}
		time.Sleep(time.Millisecond)
	}
}

func (h *hammer) total() (total int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.answers {
		total += n
	}
	return total
}

func (h *hammer) count(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answers[name]
}

// stop ends the hammer and fails the test if any connection failed.
func (h *hammer) stop(t *testing.T) {
	t.Helper()
	h.stopping.Store(true)
	h.running.Wait()
	if len(h.failures) > 0 {
		t.Errorf("connections failed (%d answered): %v", h.total(), h.failures)
	}
}

// TestNoConnectionAfterUnrouted is what a rolling update relies on: once
// Unrouted has returned, a Pod gets no new connection, and none was refused on
// the way there.
func TestNoConnectionAfterUnrouted(t *testing.T) {
	c := startCluster(t)
	client := c.NewPod(t, "client")
	pods := make([]*networktest.Pod, 6)
	for i := range pods {
		pods[i] = c.NewPod(t, fmt.Sprintf("pod-%d", i))
		pods[i].ServeNames(t, 8080)
	}
	c.service("web", "10.96.0.20")
	c.endpoints("web", pods[:3]...)
	c.awaitOffered(pods[0].Addr)
	h := startHammer("10.96.0.20:80", client.Dial, fromHost)
	// The number of endpoints goes up and down, by one and by two.
	for round := range 60 {
		leaving, size := pods[0], 2+round%3
		pods = append(pods[1:], leaving)
		c.endpoints("web", pods[:size]...)
		c.awaitOffered(pods[size-1].Addr)
		c.awaitUnrouted(leaving.Addr)
		// Who was accepted before may still be counted a little later.
		before := h.count(leaving.Name)
		h.awaitAnswers(t, 20)
		if after := h.count(leaving.Name); after > before+4 {
			t.Fatalf("round %d: %s answered %d times after Unrouted had returned", round, leaving.Name, after-before)
		}
	}
	h.stop(t)
}

// TestRoutedWhenEveryServiceLeadsThere is what tells a rollout that a Pod can
// be reached.
func TestRoutedWhenEveryServiceLeadsThere(t *testing.T) {
	c := startCluster(t)
	client, pod := c.NewPod(t, "client"), c.NewPod(t, "pod")
	pod.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.service("admin", "10.96.0.21")
	c.endpoints("web", pod)
	both := []string{"default/admin", "default/web"}
	if err := c.proxy.Routed(t.Context(), pod.Addr, both[1:]); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.proxy.Routed(short, pod.Addr, both); err == nil || !strings.Contains(err.Error(), "until default/admin sends") {
		t.Errorf("err = %v while default/admin does not lead there", err)
	}
	c.endpoints("admin", pod)
	if err := c.proxy.Routed(t.Context(), pod.Addr, both); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"10.96.0.20:80", "10.96.0.21:80"} {
		if name, _, err := ask(client.Dial, "tcp", address); name != "pod" {
			t.Errorf("%s: %s answered, and %v", address, name, err)
		}
	}
}

func TestRulesOutliveTheProxy(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)
	h := startHammer("10.96.0.20:80", client.Dial, fromHost)
	for range 5 {
		h.awaitAnswers(t, 50)
		c.stop()
		h.awaitAnswers(t, 50)
		c.start()
	}
	c.stop()
	c.endpoints("web", b)
	c.start()
	// The first rules of a new Proxy are those of now: a is gone from them.
	if _, err := c.client.CoreV1().Services("default").Get(t.Context(), "web", getNow); err != nil {
		t.Fatal(err)
	}
	c.awaitUnrouted(a.Addr)
	if name, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80"); name != "b" {
		t.Errorf("%s answered, want b", name)
	}
	h.stop(t)
}

func TestTableOfOthersHandsIsRebuilt(t *testing.T) {
	c := startCluster(t)
	a, client := c.NewPod(t, "a"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)

	for name, harm := range map[string]func(*nftables.Conn){
		"the ruleset is flushed":  func(conn *nftables.Conn) { conn.FlushRuleset() },
		"our table is deleted":    func(conn *nftables.Conn) { conn.DelTable(newTable()) },
		"our table is flushed":    func(conn *nftables.Conn) { conn.FlushTable(newTable()) },
		"a map of it is emptied":  func(conn *nftables.Conn) { conn.FlushSet(&nftables.Set{Name: string(setServices), Table: newTable()}) },
		"a chain of it is filled": func(conn *nftables.Conn) { dropEverything(conn) },
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := nftables.New()
			if err != nil {
				t.Fatal(err)
			}
			harm(conn)
			if err := conn.Flush(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(10 * time.Second)
			for {
				name, _, err := ask(client.Dial, "tcp", "10.96.0.20:80")
				if name == "a" {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("not rebuilt after 10 s: %q answered, %v", name, err)
				}
			}
		})
	}
}

func dropEverything(conn *nftables.Conn) {
	table := newTable()
	conn.AddRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "unserved", Table: table}, Exprs: verdict(0)})
}

// A UDP client that never pauses is sent elsewhere when its endpoint goes.
func TestUDPClientFollowsTheEndpoints(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	b.ServeNames(t, 8080)
	c.service("web", "10.96.0.20", nodePort)
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)
	for _, address := range []string{"10.96.0.20:80", net.JoinHostPort(c.Gateway().String(), "30080")} {
		c.endpoints("web", a)
		c.awaitOffered(a.Addr)
		conn, err := client.Dial("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if name := askAgain(t, conn); name != "a" {
			t.Fatalf("%s: %s answered, want a", address, name)
		}
		c.endpoints("web", b)
		c.awaitUnrouted(a.Addr)
		if _, err := drained(c, a, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if name := askAgain(t, conn); name != "b" {
			t.Errorf("%s: %s answered after a was gone, want b", address, name)
		}
	}
}

// A server that is slow to answer still gets its answer to the client, before
// that is led elsewhere.
func TestUDPAnswerUnderWayArrives(t *testing.T) {
	c := startCluster(t)
	a, b, client := c.NewPod(t, "a"), c.NewPod(t, "b"), c.NewPod(t, "client")
	b.ServeNames(t, 8080)
	var slow net.PacketConn
	if err := a.Do(func() (err error) { slow, err = net.ListenPacket("udp4", ":8080"); return err }); err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)
	conn, err := client.Dial("udp", "10.96.0.20:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	slow.SetDeadline(time.Now().Add(10 * time.Second))
	_, from, err := slow.ReadFrom(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	c.endpoints("web", b)
	c.awaitUnrouted(a.Addr)
	left := make(chan error, 1)
	go func() { left <- c.proxy.forgetter.left(t.Context(), a.Addr) }()
	for range 3 { // looks that find the client waiting
		c.proxy.forgetter.mu.Lock()
		changed := c.proxy.forgetter.changed
		c.proxy.forgetter.mu.Unlock()
		<-changed
	}
	if _, err := slow.WriteTo([]byte("a late"), from); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 10)
	if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "a late" {
		t.Errorf("the answer under way was %q, %v", answer[:n], err)
	}
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	if name := askAgain(t, conn); name != "b" {
		t.Errorf("%s answered next, want b", name)
	}
}

// askAgain sends one packet and returns who answered.
func askAgain(t *testing.T, conn net.Conn) string {
	t.Helper()
	if _, err := conn.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(networktest.DialTimeout))
	answer := make([]byte, 100)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	fmt.Sscan(string(answer[:n]), &name)
	return name
}

func TestLastEndpointServesWhileItTerminates(t *testing.T) {
	c := startCluster(t)
	a, client := c.NewPod(t, "a"), c.NewPod(t, "client")
	a.ServeNames(t, 8080)
	c.service("web", "10.96.0.20")
	c.endpoints("web", a)
	c.awaitOffered(a.Addr)
	_, changed := c.proxy.offers.withdrawn(routing.Leaving{IP: a.Addr})

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.proxy.Unrouted(ctx, routing.Leaving{IP: a.Addr}); err == nil {
		t.Error("Unrouted returned for an endpoint that is ready")
	}
	slice := newSlice("web")
	slice.Endpoints = append(slice.Endpoints, endpoint(a.Addr, false, true))
	c.put(slice)
	<-changed
	c.awaitUnrouted(a.Addr)
	if name, _ := mustAsk(t, client.Dial, "tcp", "10.96.0.20:80"); name != "a" {
		t.Errorf("%s answered, want a", name)
	}
}

// What is in force is as new as the newest slice that was dealt with, whatever
// their order.
func TestInForceIsTheNewestRevision(t *testing.T) {
	c := startCluster(t)
	for _, step := range []struct{ revision, want string }{{"9", "9"}, {"1000", "1000"}, {"101", "1000"}} {
		slice := newSlice("web")
		slice.Name, slice.ResourceVersion = "web-"+step.revision, step.revision
		_, changed := c.proxy.InForce()
		c.put(slice)
		<-changed
		if got, _ := c.proxy.InForce(); got != step.want {
			t.Errorf("after revision %s: %q in force, want %s", step.revision, got, step.want)
		}
	}
}

func TestUnroutedForWhatWasNeverRouted(t *testing.T) {
	c := startCluster(t)
	if err := c.proxy.Unrouted(t.Context(), routing.Leaving{IP: netip.MustParseAddr("10.244.9.9")}); err != nil {
		t.Error(err)
	}
}

// A Pod that was never led to may yet be: a slice that lists it as ready is
// under way when the Pod is already deleted.
func TestUnroutedWaitsForWhatIsUnderWay(t *testing.T) {
	c := startCluster(t)
	a, b := c.NewPod(t, "a"), c.NewPod(t, "b")
	listed := func(pod *networktest.Pod, terminating bool) discoveryv1.Endpoint {
		e := endpoint(pod.Addr, !terminating, terminating)
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: pod.Name, UID: types.UID(pod.Name)}
		return e
	}
	show := func(service string, endpoints ...discoveryv1.Endpoint) {
		slice := newSlice(service)
		slice.Endpoints = endpoints
		c.put(slice)
	}
	c.service("web", "10.96.0.20")
	c.service("named", corev1.ClusterIPNone)
	show("web", listed(b, false))
	show("named", listed(b, false))
	c.awaitOffered(b.Addr)
	leaving := routing.Leaving{IP: a.Addr, UID: "a", Services: []string{"default/gone", "default/named", "default/web"}}
	returned := make(chan error, 1)
	go func() { returned <- c.proxy.Unrouted(t.Context(), leaving) }()
	stillWaits := func(when string) {
		t.Helper()
		if done, _ := c.proxy.offers.withdrawn(leaving); done {
			t.Errorf("Unrouted is over %s", when)
		}
	}
	stillWaits("before any slice lists the Pod")
	show("web", listed(a, false), listed(b, false))
	c.awaitOffered(a.Addr)
	stillWaits("while the Pod is offered")
	show("web", listed(a, true), listed(b, false))
	c.awaitUnrouted(a.Addr)
	stillWaits("while a headless Service does not say that the Pod terminates")
	show("named", listed(a, true), listed(b, false))
	if err := <-returned; err != nil {
		t.Error(err)
	}
	// A Service that is deleted meanwhile is not waited for.
	leaving = routing.Leaving{IP: netip.MustParseAddr("10.244.9.9"), UID: "c", Services: []string{"default/named"}}
	go func() { returned <- c.proxy.Unrouted(t.Context(), leaving) }()
	stillWaits("before its Service is gone")
	if err := c.client.CoreV1().Services("default").Delete(t.Context(), "named", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-returned; err != nil {
		t.Error(err)
	}
}
