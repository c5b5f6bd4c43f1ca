package peers

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/routing"
)

// proxyFake is a proxy that has in force what a test says.
type proxyFake struct {
	mu       sync.Mutex
	revision string
	changed  chan struct{}
}

func (f *proxyFake) InForce() (string, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision, f.changed
}

func (f *proxyFake) set(revision string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision = revision
	close(f.changed)
	f.changed = make(chan struct{})
}

// machine is one that takes part.
type machine struct {
	*Peers
	proxy *proxyFake
	stop  func()
}

func startMachine(t *testing.T, client kubernetes.Interface, name string, followers ...func(context.Context) error) *machine {
	t.Helper()
	setReady(t, client, name, corev1.ConditionTrue)
	m := &machine{proxy: &proxyFake{changed: make(chan struct{})}}
	var err error
	m.Peers, err = New(Config{
		Client: client, Informers: informers.NewSharedInformerFactory(client, 0), NodeName: name, InForce: m.proxy.InForce, Followers: followers,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

func setReady(t *testing.T, client kubernetes.Interface, name string, status corev1.ConditionStatus) {
	t.Helper()
	node, err := client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		if node, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s: not %s", what)
		}
	}
}

var leaving = routing.Leaving{IP: netip.MustParseAddr("10.244.0.7"), UID: "pod"}

// asked is Unrouted, whose answer is waited for elsewhere.
func (m *machine) asked(ctx context.Context) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- m.Unrouted(ctx, leaving) }()
	return answer
}

func TestAPodWaitsForTheProxiesOfOtherMachines(t *testing.T) {
	client := apitest.Start(t).Client(t)
	here := startMachine(t, client, "here")
	here.proxy.set("100")
	if err := here.Unrouted(t.Context(), leaving); err != nil {
		t.Errorf("alone: %v", err)
	}
	if leases, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{LabelSelector: proxyLabel}); err != nil || len(leases.Items) > 0 {
		t.Errorf("alone, it writes %v (%v)", leases.Items, err)
	}

	there := startMachine(t, client, "there")
	there.proxy.set("99")
	within(t, "known that there is behind", func() bool { return len(here.behind("100")) == 1 })
	answer := here.asked(t.Context())
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := here.Unrouted(short, leaving); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nodes there no longer lead to 10.244.0.7") {
		t.Errorf("while a peer is behind: %v", err)
	}
	there.proxy.set("1000") // as a number that is more
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := here.Routed(t.Context(), leaving.IP, nil); err != nil {
		t.Error(err)
	}
	// It goes both ways.
	there.proxy.set("1001")
	answer = there.asked(t.Context())
	here.proxy.set("1002")
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

func TestAMachineThatIsNotReadyIsNotWaitedFor(t *testing.T) {
	client := apitest.Start(t).Client(t)
	here, there := startMachine(t, client, "here"), startMachine(t, client, "there")
	here.proxy.set("5")
	there.proxy.set("4")
	within(t, "known that there is behind", func() bool { return len(here.behind("5")) == 1 })
	answer := here.asked(t.Context())
	there.stop()
	setReady(t, client, "there", corev1.ConditionUnknown)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	// One that has never had a proxy is not waited for either.
	setReady(t, client, "bare", corev1.ConditionTrue)
	if err := here.Unrouted(t.Context(), leaving); err != nil {
		t.Error(err)
	}
}

func TestWhatIsInForceIsPublishedWhenEveryFollowerHasIt(t *testing.T) {
	client := apitest.Start(t).Client(t)
	follow, following := make(chan struct{}), make(chan struct{}, 1)
	here := startMachine(t, client, "here")
	there := startMachine(t, client, "there", func(ctx context.Context) error {
		following <- struct{}{}
		select {
		case <-follow:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	there.proxy.set("7")
	<-following
	if items := here.leases.GetStore().List(); len(items) > 0 {
		t.Errorf("published before the follower has it: %v", items)
	}
	close(follow)
	within(t, "published", func() bool { return len(here.leases.GetStore().List()) == 1 && len(here.behind("7")) == 0 })
	if got := here.behind("8"); len(got) != 1 {
		t.Errorf("behind revision 8: %v", got)
	}
}
