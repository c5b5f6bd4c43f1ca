package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"coxswain.dev/cox/test/golden"
)

// startServer runs a Server on a free port of the loopback, with the cluster
// of testObjects, and returns where it listens.
func startServer(t *testing.T, resolvConf string) string {
	t.Helper()
	return startServerWith(t, resolvConf, func(*Server) {})
}

var localAddr = netip.MustParseAddr("10.244.0.1")

// startServerWith lets a test adjust the Server before it runs.
func startServerWith(t *testing.T, resolvConf string, adjust func(*Server)) string {
	t.Helper()
	client := fake.NewClientset(testServices(), testSlices())
	if err := EnsureService(context.Background(), client, netip.MustParseAddr("10.96.0.10"), localAddr); err != nil {
		t.Fatal(err)
	}
	listen := freePort(t)
	server, err := New(Config{
		Client: client, Listen: listen, ServiceIP: netip.MustParseAddr("10.96.0.10"), ResolvConf: resolvConf,
		PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
	})
	if err != nil {
		t.Fatal(err)
	}
	adjust(server)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", listen.String())
		if err == nil {
			conn.Close()
			return listen.String()
		}
		if time.Now().After(deadline) {
			t.Fatalf("not listening after 10 s: %v", err)
		}
	}
}

func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func testServices() *corev1.ServiceList {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "default", Name: name} }
	return &corev1.ServiceList{Items: []corev1.Service{
		{ObjectMeta: meta("http-go"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.20", Ports: []corev1.ServicePort{
			{Name: "web", Protocol: corev1.ProtocolTCP, Port: 8080}, {Name: "stats", Protocol: corev1.ProtocolUDP, Port: 8125}}}},
		{ObjectMeta: meta("empty"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.21"}},
		{ObjectMeta: meta("peers"), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "gossip", Protocol: corev1.ProtocolTCP, Port: 7000}}}},
		{ObjectMeta: meta("nobody"), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
		{ObjectMeta: meta("outside"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "www.example.org"}},
		{ObjectMeta: meta("alias"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "http-go.default.svc.cluster.local"}},
		{ObjectMeta: meta("alias-of-alias"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "alias.default.svc.cluster.local"}},
		{ObjectMeta: meta("alias-of-peers"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "peers.default.svc.cluster.local"}},
		{ObjectMeta: meta("alias-of-nothing"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "missing.default.svc.cluster.local"}},
		{ObjectMeta: meta("circle"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "circle.default.svc.cluster.local"}},
		{ObjectMeta: meta("unnamed"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.22", Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}}},
		{ObjectMeta: meta("early"), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true}},
	}}
}

// testSlices are the slices of peers, the second with a port that only one of
// its endpoints has, and of early and http-go.
func testSlices() *discoveryv1.EndpointSliceList {
	ready, going := discoveryv1.EndpointConditions{Ready: new(true)}, discoveryv1.EndpointConditions{Ready: new(true), Terminating: new(true)}
	gossip := []discoveryv1.EndpointPort{{Name: new("gossip"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(7000))}}
	admin := []discoveryv1.EndpointPort{{Name: new("admin"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(7001))}}
	slice := func(service, suffix string, ports []discoveryv1.EndpointPort, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: service + "-" + suffix, Labels: map[string]string{discoveryv1.LabelServiceName: service},
			},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: endpoints,
		}
	}
	peer0 := discoveryv1.Endpoint{Addresses: []string{"10.244.0.5"}, Hostname: new("peers-0"), Conditions: ready}
	return &discoveryv1.EndpointSliceList{Items: []discoveryv1.EndpointSlice{
		slice("peers", "x", gossip, peer0,
			discoveryv1.Endpoint{Addresses: []string{"10.244.0.6"}, Conditions: ready},
			discoveryv1.Endpoint{Addresses: []string{"10.244.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}}),
		slice("peers", "y", admin, peer0),
		slice("early", "x", nil, discoveryv1.Endpoint{Addresses: []string{"10.244.0.8"}, Hostname: new("early-0"), Conditions: going}),
		slice("http-go", "x", nil, discoveryv1.Endpoint{Addresses: []string{"10.244.0.9"}, Hostname: new("first"), Conditions: ready}),
	}}
}

// TestAnswersAboutTheCluster compares the whole answer to every question of
// testdata/questions.txt with testdata/answers.txt.
func TestAnswersAboutTheCluster(t *testing.T) {
	server := startServer(t, "/nonexistent")
	questions, err := os.ReadFile("testdata/questions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(questions)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&got, "? %s %s\n%s\n", name, kind, describe(ask1(t, "udp", server, name, dns.StringToType[kind])))
	}
	golden.Check(t, filepath.Join("testdata", "answers.txt"), got.String())
}

func ask1(t *testing.T, network, server, name string, kind uint16) *dns.Msg {
	t.Helper()
	request := new(dns.Msg)
	request.SetQuestion(name, kind)
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(request, server)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[kind], err)
	}
	return reply
}

// describe prints what matters of a reply, records in one order.
func describe(reply *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", dns.RcodeToString[reply.Rcode])
	if reply.Authoritative {
		b.WriteString(" authoritative")
	}
	b.WriteByte('\n')
	for _, section := range []struct {
		name string
		rrs  []dns.RR
	}{{"answer", reply.Answer}, {"authority", reply.Ns}, {"additional", reply.Extra}} {
		var lines []string
		for _, rr := range section.rrs {
			lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
		}
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Fprintf(&b, "  %s: %s\n", section.name, line)
		}
	}
	return b.String()
}
