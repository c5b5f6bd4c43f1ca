package dns

import (
	"context"
	"net/netip"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestEnsureService(t *testing.T) {
	client := fake.NewClientset()
	ctx := context.Background()
	address, gateway := netip.MustParseAddr("10.96.0.10"), localAddr
	check := func(what string) {
		t.Helper()
		if err := EnsureService(ctx, client, address, gateway); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		service, err := client.CoreV1().Services("kube-system").Get(ctx, "kube-dns", metav1.GetOptions{})
		if err != nil || service.Spec.ClusterIP != address.String() || len(service.Spec.Selector) > 0 {
			t.Fatalf("%s: Service %v (%v), want address %s and no selector", what, service, err, address)
		}
		slice, err := client.DiscoveryV1().EndpointSlices("kube-system").Get(ctx, "kube-dns", metav1.GetOptions{})
		if err != nil || slice.Labels[discoveryv1.LabelServiceName] != "kube-dns" || len(slice.Endpoints) != 1 || slice.Endpoints[0].Addresses[0] != gateway.String() {
			t.Fatalf("%s: EndpointSlice %v (%v), want %s", what, slice, err, gateway)
		}
	}
	check("the first time")
	client.ClearActions()
	check("again")
	for _, action := range client.Actions() {
		if action.GetVerb() != "get" {
			t.Errorf("again: %s %s, want nothing written", action.GetVerb(), action.GetResource().Resource)
		}
	}
	address, gateway = netip.MustParseAddr("10.20.0.10"), netip.MustParseAddr("10.11.0.1")
	check("with other ranges")
}
