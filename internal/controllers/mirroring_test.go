package controllers_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// mirrored waits until the slices of a Service are these: managed by, ports,
// and addresses with their readiness.
func mirrored(t *testing.T, client kubernetes.Interface, service string, want ...string) {
	t.Helper()
	eventually(t, func() error {
		list, err := client.DiscoveryV1().EndpointSlices("default").List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		if err != nil {
			return err
		}
		var got []string
		for _, slice := range list.Items {
			text := slice.Labels[discoveryv1.LabelManagedBy]
			for _, port := range slice.Ports {
				text += fmt.Sprintf(" %s:%d/%s", *port.Name, *port.Port, *port.Protocol)
			}
			for _, endpoint := range slice.Endpoints {
				text += fmt.Sprintf(" %s=%t", endpoint.Addresses[0], *endpoint.Conditions.Ready)
			}
			got = append(got, text)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("slices of %s are %q, want %q", service, got, want)
		}
		return nil
	})
}

func TestEndpointsKeptByHandAreMirrored(t *testing.T) {
	client := withControllers(t, nil)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "sql", Port: 5432}}}}
	if _, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ports := []corev1.EndpointPort{{Name: "sql", Port: 5432, Protocol: corev1.ProtocolTCP}}
	endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "db", Labels: map[string]string{"team": "data"}}, Subsets: []corev1.EndpointSubset{
		{Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}, {IP: "192.0.2.2"}}, NotReadyAddresses: []corev1.EndpointAddress{{IP: "192.0.2.3"}}, Ports: ports},
		{Addresses: []corev1.EndpointAddress{{IP: "192.0.2.4"}}, Ports: []corev1.EndpointPort{{Name: "sql", Port: 5433, Protocol: corev1.ProtocolTCP}}},
	}}
	if _, err := client.CoreV1().Endpoints("default").Create(t.Context(), endpoints, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const by = "endpointslicemirroring-controller.k8s.io"
	mirrored(t, client, "db", by+" sql:5432/TCP 192.0.2.1=true 192.0.2.2=true 192.0.2.3=false", by+" sql:5433/TCP 192.0.2.4=true")

	patch := func(patch string) {
		t.Helper()
		if _, err := client.CoreV1().Endpoints("default").Patch(t.Context(), "db", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"subsets":[{"addresses":[{"ip":"192.0.2.9"}],"ports":[{"name":"sql","port":5432,"protocol":"TCP"}]}]}`)
	mirrored(t, client, "db", by+" sql:5432/TCP 192.0.2.9=true")
	list, err := client.DiscoveryV1().EndpointSlices("default").List(t.Context(), metav1.ListOptions{LabelSelector: "team=data"})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d slices have the label of the Endpoints (%v)", len(list.Items), err)
	}
	// Somebody meddles.
	if err := client.DiscoveryV1().EndpointSlices("default").Delete(t.Context(), list.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mirrored(t, client, "db", by+" sql:5432/TCP 192.0.2.9=true")
	patch(`{"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}}`)
	mirrored(t, client, "db")
	patch(`{"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":null}}}`)
	mirrored(t, client, "db", by+" sql:5432/TCP 192.0.2.9=true")
	// With a selector the Endpoints are ours, and so are the slices.
	selector := []byte(`{"spec":{"selector":{"app":"nobody"}}}`)
	if _, err := client.CoreV1().Services("default").Patch(t.Context(), "db", types.MergePatchType, selector, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	mirrored(t, client, "db", "endpointslice-controller.k8s.io")
}
