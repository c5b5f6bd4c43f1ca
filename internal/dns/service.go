package dns

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// Names of the Service that Pods ask, as every cluster has it.
const (
	serviceNamespace = metav1.NamespaceSystem
	serviceName      = "kube-dns"
	dnsPort          = 53
)

// EnsureService makes the Service kube-dns with the given cluster address lead
// to the gateway address. It has no selector: its EndpointSlice is ours.
func EnsureService(ctx context.Context, client kubernetes.Interface, clusterIP, gateway netip.Addr) error {
	if err := ensureService(ctx, client, clusterIP); err != nil {
		return fmt.Errorf("making Service %s/%s: %w", serviceNamespace, serviceName, err)
	}
	if err := ensureSlice(ctx, client, gateway); err != nil {
		return fmt.Errorf("making the EndpointSlice of Service %s/%s: %w", serviceNamespace, serviceName, err)
	}
	return nil
}

func ensureService(ctx context.Context, client kubernetes.Interface, clusterIP netip.Addr) error {
	services := client.CoreV1().Services(serviceNamespace)
	want := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name:      serviceName,
			Namespace: serviceNamespace,
			Labels: map[string]string{
				"k8s-app":                       "kube-dns",
				"kubernetes.io/cluster-service": "true",
				"kubernetes.io/name":            "CoreDNS",
			},
		},
		Spec: corev1.ServiceSpec{
			Type:      corev1.ServiceTypeClusterIP,
			ClusterIP: clusterIP.String(),
			Ports: []corev1.ServicePort{
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: dnsPort, TargetPort: intstr.FromInt32(dnsPort)},
				{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: dnsPort, TargetPort: intstr.FromInt32(dnsPort)},
			},
		},
	}
	have, err := services.Get(ctx, serviceName, metav1.GetOptions{})
	if err == nil && have.Spec.ClusterIP == want.Spec.ClusterIP {
		return nil
	}
	if err == nil {
		// The address of a Service cannot be changed.
		if err := services.Delete(ctx, serviceName, metav1.DeleteOptions{}); err != nil {
			return err
		}
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = services.Create(ctx, want, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: serviceNamespace}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		_, err = services.Create(ctx, want, metav1.CreateOptions{})
	}
	return err
}

func ensureSlice(ctx context.Context, client kubernetes.Interface, gateway netip.Addr) error {
	slices := client.DiscoveryV1().EndpointSlices(serviceNamespace)
	number, ready := int32(dnsPort), true
	udp, tcp := corev1.ProtocolUDP, corev1.ProtocolTCP
	udpName, tcpName := "dns", "dns-tcp"
	want := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:      serviceName,
			Namespace: serviceNamespace,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: serviceName,
				discoveryv1.LabelManagedBy:   "coxswain.dev",
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{gateway.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports: []discoveryv1.EndpointPort{
			{Name: &udpName, Protocol: &udp, Port: &number},
			{Name: &tcpName, Protocol: &tcp, Port: &number},
		},
	}
	have, err := slices.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = slices.Create(ctx, want, metav1.CreateOptions{})
		return err
	case err != nil:
		return err
	}
	if have.AddressType == want.AddressType && equality.Semantic.DeepEqual(have.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(have.Ports, want.Ports) {
		return nil
	}
	changed := have.DeepCopy()
	changed.Labels, changed.Endpoints, changed.Ports = want.Labels, want.Endpoints, want.Ports
	_, err = slices.Update(ctx, changed, metav1.UpdateOptions{})
	return err
}
