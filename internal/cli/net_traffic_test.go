package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/routing"
)

// counting is the node boat, whose agent tells of connections.
type counting struct{ told routing.NodeTraffic }

func (c counting) Node(name string) (http.Handler, error) {
	if name != "boat" {
		return nil, fmt.Errorf("no agent serves node %q", name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != routing.ConnectionsPath {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(c.told)
	}), nil
}

func TestNetCountsConnections(t *testing.T) {
	at := netip.MustParseAddrPort
	boat := counting{routing.NodeTraffic{
		Open: []routing.Connections{
			{Endpoint: at("10.244.0.5:8080"), Protocol: "tcp", Count: 12}, {Endpoint: at("10.244.0.5:8080"), Protocol: "udp", Count: 7},
			{Endpoint: at("10.244.0.6:8080"), Protocol: "tcp", Count: 2},
		},
		Stopping: []string{"default/stops", "elsewhere/drains"},
	}}
	c := newCluster(t, apitest.WithConfig(func(config *apiserver.Config) { config.Nodes = boat }))
	g := newGolden(t, "net-connections")
	c.byHand(
		endpointOf("serves", "10.244.0.5", "boat", false), endpointOf("drains", "10.244.0.6", "boat", true),
		endpointOf("stops", "10.244.0.7", "boat", true), endpointOf("afar", "10.244.1.2", "ship", false),
	)
	c.net(g, "web")
	c.net(g, "web", "-o", "json")
	g.compare()
}

func endpointOf(pod, ip, node string, leaving bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses: []string{ip}, NodeName: &node, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: pod},
		Conditions: discoveryv1.EndpointConditions{Ready: new(!leaving), Serving: new(true), Terminating: &leaving},
	}
}

// byHand makes a Service that leads to these endpoints, whatever Pods there are.
func (c *cluster) byHand(endpoints ...discoveryv1.Endpoint) {
	c.t.Helper()
	meta := metav1.ObjectMeta{Name: "web", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}
	if _, err := c.CoreV1().Services("default").Create(c.t.Context(), &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		ClusterIP: "10.96.5.1", Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.DiscoveryV1().EndpointSlices("default").Create(c.t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: new(""), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080))}},
	}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}
