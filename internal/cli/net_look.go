package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/diagnose"
	"coxswain.dev/cox/internal/podlifecycle"
)

// surroundings are the objects that Services have to do with.
type surroundings struct {
	services   []corev1.Service
	slices     []discoveryv1.EndpointSlice
	pods       []corev1.Pod
	policies   []networkingv1.NetworkPolicy
	namespaces []corev1.Namespace
	events     []corev1.Event
	// nameServer is invalid if it is not known.
	nameServer netip.Addr
}

// lookAround reads them; an empty namespace means all.
func (s *session) lookAround(ctx context.Context, namespace string) (*surroundings, error) {
	a, all := &surroundings{}, metav1.ListOptions{}
	services, err := s.CoreV1().Services(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	endpoints, err := s.DiscoveryV1().EndpointSlices(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	pods, err := s.CoreV1().Pods("").List(ctx, all) // policies speak of all namespaces
	if err != nil {
		return nil, err
	}
	policies, err := s.NetworkingV1().NetworkPolicies(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	namespaces, err := s.CoreV1().Namespaces().List(ctx, all)
	if err != nil {
		return nil, err
	}
	events, err := s.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=Service"})
	if err != nil {
		return nil, err
	}
	a.nameServer = s.nameServer(ctx)
	a.services, a.slices, a.pods = services.Items, endpoints.Items, pods.Items
	a.policies, a.namespaces, a.events = policies.Items, namespaces.Items, events.Items
	return a, nil
}

// nameServer is where Pods' questions for names are led. Who may not see that,
// or asks an API without one, is told less.
func (s *session) nameServer(ctx context.Context) netip.Addr {
	slice, err := s.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem).Get(ctx, "kube-dns", metav1.GetOptions{})
	if err != nil || len(slice.Endpoints) == 0 {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(slice.Endpoints[0].Addresses[0])
	return addr
}

// describe says where a Service leads, and what is wrong.
func (a *surroundings) describe(service *corev1.Service) netService {
	slices := a.slicesOf(service)
	return netService{
		Namespace: service.Namespace, Name: service.Name, Type: string(service.Spec.Type), Address: addressOf(service),
		Ways: a.ways(service, slices), Findings: diagnose.Service(a.snapshot(service, slices)),
	}
}

func addressOf(service *corev1.Service) string {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return service.Spec.ExternalName
	}
	return cmp.Or(service.Spec.ClusterIP, "<none>")
}

func (a *surroundings) slicesOf(service *corev1.Service) []*discoveryv1.EndpointSlice {
	var found []*discoveryv1.EndpointSlice
	for i := range a.slices {
		if slice := &a.slices[i]; slice.Namespace == service.Namespace && slice.Labels[discoveryv1.LabelServiceName] == service.Name {
			found = append(found, slice)
		}
	}
	return found
}

func (a *surroundings) snapshot(service *corev1.Service, slices []*discoveryv1.EndpointSlice) diagnose.Snapshot {
	s := diagnose.Snapshot{Service: service, Slices: slices, NameServer: a.nameServer}
	for i := range a.services {
		if a.services[i].Namespace == service.Namespace {
			s.Services = append(s.Services, &a.services[i])
		}
	}
	for i := range a.pods {
		if a.pods[i].Namespace == service.Namespace {
			s.Pods = append(s.Pods, &a.pods[i])
		} else {
			s.Others = append(s.Others, &a.pods[i])
		}
	}
	for i := range a.policies {
		if a.policies[i].Namespace == service.Namespace {
			s.Policies = append(s.Policies, &a.policies[i])
		}
	}
	for i := range a.namespaces {
		s.Namespaces = append(s.Namespaces, &a.namespaces[i])
	}
	for i := range a.events {
		if about := a.events[i].InvolvedObject; about.Namespace == service.Namespace && about.Name == service.Name {
			s.Events = append(s.Events, &a.events[i])
		}
	}
	return s
}

// ways are the Service's ports with each endpoint, sorted.
func (a *surroundings) ways(service *corev1.Service, of []*discoveryv1.EndpointSlice) []netWay {
	var ways []netWay
	for _, port := range service.Spec.Ports {
		text := fmt.Sprintf("%d/%s", port.Port, cmp.Or(port.Protocol, corev1.ProtocolTCP))
		if port.NodePort > 0 {
			text = fmt.Sprintf("%d:%d/%s", port.Port, port.NodePort, cmp.Or(port.Protocol, corev1.ProtocolTCP))
		}
		before := len(ways)
		for _, slice := range of {
			for _, endpointPort := range slice.Ports {
				if endpointPort.Name == nil && port.Name != "" || endpointPort.Name != nil && *endpointPort.Name != port.Name || endpointPort.Port == nil {
					continue
				}
				for _, endpoint := range slice.Endpoints {
					ways = append(ways, a.way(service.Namespace, text, *endpointPort.Port, endpoint))
				}
			}
		}
		if len(ways) == before {
			ways = append(ways, netWay{Port: text, Endpoint: noEndpoint})
		}
	}
	if len(service.Spec.Ports) == 0 {
		ways = append(ways, netWay{Endpoint: noEndpoint})
	}
	slices.SortStableFunc(ways, func(a, b netWay) int { return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Pod, b.Pod)) })
	return ways
}

func (a *surroundings) way(namespace, port string, number int32, endpoint discoveryv1.Endpoint) netWay {
	way := netWay{Port: port, Endpoint: fmt.Sprintf("%s:%d", endpoint.Addresses[0], number), State: "not ready"}
	is := func(condition *bool) bool { return condition != nil && *condition }
	if endpoint.Conditions.Ready == nil || is(endpoint.Conditions.Ready) {
		way.State = "ready"
	}
	if is(endpoint.Conditions.Terminating) {
		way.State = stateDraining
	}
	if endpoint.NodeName != nil {
		way.node = *endpoint.NodeName
	}
	if endpoint.TargetRef == nil || endpoint.TargetRef.Kind != "Pod" {
		return way
	}
	way.Pod = endpoint.TargetRef.Name
	at := slices.IndexFunc(a.pods, func(pod corev1.Pod) bool { return pod.Namespace == namespace && pod.Name == way.Pod })
	switch {
	case at < 0:
	case way.State == "ready":
		way.State += routedState(&a.pods[at])
	case way.State == "not ready":
		way.State += ": " + diagnose.Reason(&a.pods[at])
	}
	return way
}

// routedState says whether the proxy leads to a ready Pod, if that is known.
func routedState(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != podlifecycle.RoutedCondition {
			continue
		}
		switch condition.Status {
		case corev1.ConditionTrue:
			return ", routed"
		case corev1.ConditionFalse:
			return ", not routed yet"
		default:
			return ", not known to be routed"
		}
	}
	return ""
}

// nearName offers the name that was probably meant.
func (a *surroundings) nearName(name string) string {
	var names []string
	for i := range a.services {
		names = append(names, a.services[i].Name)
	}
	if near, found := nearest(name, names); found {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}
