package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"coxswain.dev/cox/internal/network/networktest"
	"coxswain.dev/cox/internal/routing"
)

// cluster is a host with a running Proxy and an API that remembers what tests
// put into it.
type cluster struct {
	*networktest.Network
	t      testing.TB
	client *fake.Clientset
	proxy  *Proxy
	stop   func()
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{Network: networktest.Setup(t), t: t, client: fake.NewClientset()}
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

// start runs a new Proxy, as a restarted cox does.
func (c *cluster) start() {
	c.t.Helper()
	proxy, err := New(Config{Client: c.client, NodeName: "node", PodCIDR: c.PodCIDR, ServiceCIDR: c.ServiceCIDR, Gateway: c.Gateway()})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- proxy.Run(ctx) }()
	c.proxy = proxy
	c.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("Run: %v", err)
		}
	}
	c.awaitUnrouted(netip.MustParseAddr("192.0.2.254"))
}

// awaitUnrouted waits until the rules in force do not offer an address.
func (c *cluster) awaitUnrouted(addr netip.Addr) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.proxy.Unrouted(ctx, routing.Leaving{IP: addr}); err != nil {
		c.t.Fatal(err)
	}
}

// awaitOffered waits until the rules in force offer an address.
func (c *cluster) awaitOffered(addr netip.Addr) {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		gone, changed := c.proxy.offers.withdrawn(routing.Leaving{IP: addr})
		if !gone {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("%s is not offered after 10 s", addr)
		}
	}
}

// service creates a Service with TCP and UDP port 80 that leads to port 8080
// of endpoints.
func (c *cluster) service(name, ip string, adjust ...func(*corev1.Service)) *corev1.Service {
	c.t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip},
			Ports: []corev1.ServicePort{
				{Name: "tcp", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)},
				{Name: "udp", Protocol: corev1.ProtocolUDP, Port: 80, TargetPort: intstr.FromInt32(8080)},
			},
		},
	}
	for _, f := range adjust {
		f(service)
	}
	created, err := c.client.CoreV1().Services("default").Create(context.Background(), service, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return created
}

// endpoints makes Pods the ready endpoints of a Service, in place of others.
func (c *cluster) endpoints(service string, pods ...*networktest.Pod) {
	c.t.Helper()
	slice := newSlice(service)
	for _, pod := range pods {
		slice.Endpoints = append(slice.Endpoints, endpoint(pod.Addr, true, false))
	}
	c.put(slice)
}

func newSlice(service string) *discoveryv1.EndpointSlice {
	port, tcp, udp := int32(8080), corev1.ProtocolTCP, corev1.ProtocolUDP
	tcpName, udpName := "tcp", "udp"
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &tcpName, Protocol: &tcp, Port: &port}, {Name: &udpName, Protocol: &udp, Port: &port}},
	}
}

func endpoint(addr netip.Addr, ready, terminating bool) discoveryv1.Endpoint {
	node, serving := "node", true
	return discoveryv1.Endpoint{
		Addresses:  []string{addr.String()},
		NodeName:   &node,
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
	}
}

func (c *cluster) put(slice *discoveryv1.EndpointSlice) {
	c.t.Helper()
	slices := c.client.DiscoveryV1().EndpointSlices("default")
	_, err := slices.Update(context.Background(), slice, metav1.UpdateOptions{})
	if err != nil {
		_, err = slices.Create(context.Background(), slice, metav1.CreateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

type dialer func(network, address string) (net.Conn, error)

func fromHost(network, address string) (net.Conn, error) {
	return net.DialTimeout(network, address, networktest.DialTimeout)
}

// ask connects once and returns who answered, and as whom it saw the client.
func ask(dial dialer, network, address string) (name string, client netip.AddrPort, err error) {
	conn, err := dial(network, address)
	if err != nil {
		return "", netip.AddrPort{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(networktest.DialTimeout))
	var answer []byte
	if network == "udp" {
		answer = make([]byte, 100)
		if _, err := conn.Write([]byte("?")); err != nil {
			return "", netip.AddrPort{}, err
		}
		n, err := conn.Read(answer)
		if err != nil {
			return "", netip.AddrPort{}, err
		}
		answer = answer[:n]
	} else if answer, err = io.ReadAll(conn); err != nil {
		return "", netip.AddrPort{}, err
	}
	name, from, found := strings.Cut(string(answer), " ")
	if !found {
		return "", netip.AddrPort{}, fmt.Errorf("answer is %q", answer)
	}
	client, err = netip.ParseAddrPort(from)
	return name, client, err
}

func mustAsk(t testing.TB, dial dialer, network, address string) (string, netip.AddrPort) {
	t.Helper()
	name, client, err := ask(dial, network, address)
	if err != nil {
		t.Fatalf("%s %s: %v", network, address, err)
	}
	return name, client
}
