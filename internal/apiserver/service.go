package apiserver

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

const (
	// serviceName is the Service through which Pods reach the API.
	serviceName     = "kubernetes"
	servicePortName = "https"
	servicePort     = 443
)

// ensureService keeps the Service "kubernetes" at the first Service address,
// and its endpoint at the Pods' gateway, with the port that is really listened
// on.
func (s *Server) ensureService(ctx context.Context) error {
	if err := s.ensureKubernetesService(ctx); err != nil {
		return fmt.Errorf("the Service %s: %w", serviceName, err)
	}
	if !s.config.PodGateway.IsValid() {
		return nil
	}
	if err := s.ensureEndpoints(ctx); err != nil {
		return fmt.Errorf("the Endpoints of the Service %s: %w", serviceName, err)
	}
	if err := s.ensureEndpointSlice(ctx); err != nil {
		return fmt.Errorf("the EndpointSlice of the Service %s: %w", serviceName, err)
	}
	return nil
}

func (s *Server) ensureKubernetesService(ctx context.Context) error {
	services := s.client.CoreV1().Services(metav1.NamespaceDefault)
	ports := []corev1.ServicePort{{Name: servicePortName, Protocol: corev1.ProtocolTCP, Port: servicePort, TargetPort: intstr.FromInt32(int32(s.sockets.port()))}}
	existing, err := services.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case errors.IsNotFound(err):
	case err != nil:
		return err
	case existing.Spec.ClusterIP != s.config.serviceAddress().String():
		// Another range of Service addresses than before. An address cannot be
		// changed, so that the Service is made anew.
		if err := services.Delete(ctx, serviceName, metav1.DeleteOptions{}); err != nil {
			return err
		}
	case equality.Semantic.DeepEqual(existing.Spec.Ports, ports):
		return nil
	default:
		existing.Spec.Ports = ports
		_, err = services.Update(ctx, existing, metav1.UpdateOptions{})
		return err
	}
	_, err = services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: s.config.serviceAddress().String(), Ports: ports,
			SessionAffinity: corev1.ServiceAffinityNone,
		},
	}, metav1.CreateOptions{})
	return err
}

func (s *Server) ensureEndpoints(ctx context.Context) error {
	endpoints := s.client.CoreV1().Endpoints(metav1.NamespaceDefault)
	subsets := []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: s.config.PodGateway.String()}},
		Ports:     []corev1.EndpointPort{{Name: servicePortName, Protocol: corev1.ProtocolTCP, Port: int32(s.sockets.port())}},
	}}
	existing, err := endpoints.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case errors.IsNotFound(err):
		_, err = endpoints.Create(ctx, &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}},
			Subsets:    subsets,
		}, metav1.CreateOptions{})
	case err == nil && !equality.Semantic.DeepEqual(existing.Subsets, subsets):
		existing.Subsets = subsets
		_, err = endpoints.Update(ctx, existing, metav1.UpdateOptions{})
	}
	return err
}

func (s *Server) ensureEndpointSlice(ctx context.Context) error {
	slices := s.client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault)
	wanted := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{discoveryv1.LabelServiceName: serviceName}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{s.config.PodGateway.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		}},
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To(servicePortName), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(int32(s.sockets.port()))}},
	}
	if s.config.PodGateway.Is6() {
		wanted.AddressType = discoveryv1.AddressTypeIPv6
	}
	existing, err := slices.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case errors.IsNotFound(err):
		_, err = slices.Create(ctx, wanted, metav1.CreateOptions{})
	case err == nil && (!equality.Semantic.DeepEqual(existing.Endpoints, wanted.Endpoints) || !equality.Semantic.DeepEqual(existing.Ports, wanted.Ports)):
		existing.Endpoints, existing.Ports = wanted.Endpoints, wanted.Ports
		_, err = slices.Update(ctx, existing, metav1.UpdateOptions{})
	}
	return err
}
