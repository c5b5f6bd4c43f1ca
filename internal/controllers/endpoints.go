package controllers

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// endpointsManaged marks Endpoints that this controller keeps.
const (
	endpointsManagedBy = "endpoints.kubernetes.io/managed-by"
	endpointController = "endpoint-controller"
	// maxEndpoints is how many addresses one Endpoints object holds.
	maxEndpoints = 1000
)

// endpoints keeps the Endpoints object of every Service with a selector, for
// clients that do not know EndpointSlices.
type endpoints struct {
	*base
	*loop
	services, endpoints cache.SharedIndexInformer
}

func newEndpoints(b *base) (*loop, error) {
	c := &endpoints{
		base: b, loop: newLoop("endpoints", 3, b.log),
		services: b.Core().V1().Services().Informer(), endpoints: b.Core().V1().Endpoints().Informer(),
	}
	c.loop.reconcile = c.reconcile
	if err := onAny(c.services, func(s *corev1.Service) { c.queue.Add(keyOf(s)) }); err != nil {
		return nil, err
	}
	if err := onAny(c.endpoints, func(e *corev1.Endpoints) { c.queue.Add(keyOf(e)) }); err != nil {
		return nil, err
	}
	if err := watchOwn(c.own, c.endpoints); err != nil {
		return nil, err
	}
	return c.loop, watchPodsOfServices(b, c.queue.Add)
}

func (c *endpoints) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.services.GetStore().GetByKey(k.String())
	if err != nil {
		return time.Time{}, err
	}
	if !exists {
		return time.Time{}, c.remove(ctx, k)
	}
	service := item.(*corev1.Service)
	if service.Spec.Type == corev1.ServiceTypeExternalName || service.Spec.Selector == nil {
		return time.Time{}, nil
	}
	pods, err := c.Core().V1().Pods().Lister().Pods(k.Namespace).List(labels.SelectorFromSet(service.Spec.Selector))
	if err != nil {
		return time.Time{}, err
	}
	return time.Time{}, c.write(ctx, k, service, subsetsOf(service, pods))
}

// remove deletes the Endpoints of a Service that is gone, if they were ours.
func (c *endpoints) remove(ctx context.Context, k key) error {
	item, exists, err := c.endpoints.GetStore().GetByKey(k.String())
	if err != nil || !exists || item.(*corev1.Endpoints).Labels[endpointsManagedBy] != endpointController {
		return err
	}
	uid := item.(*corev1.Endpoints).UID
	err = c.client.CoreV1().Endpoints(k.Namespace).Delete(ctx, k.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (c *endpoints) write(ctx context.Context, k key, service *corev1.Service, subsets []corev1.EndpointSubset) error {
	wanted := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: k.Name, Namespace: k.Namespace}}
	item, exists, err := c.endpoints.GetStore().GetByKey(k.String())
	if err != nil {
		return err
	}
	if exists {
		wanted = item.(*corev1.Endpoints).DeepCopy()
	}
	wanted.Labels = map[string]string{}
	for name, value := range service.Labels {
		wanted.Labels[name] = value
	}
	wanted.Labels[endpointsManagedBy] = endpointController
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		wanted.Labels[corev1.IsHeadlessService] = ""
	}
	wanted.Subsets = subsets
	var written *corev1.Endpoints
	switch {
	case !exists:
		written, err = c.client.CoreV1().Endpoints(k.Namespace).Create(ctx, wanted, metav1.CreateOptions{})
	case equality.Semantic.DeepEqual(item.(*corev1.Endpoints).Subsets, subsets) && equality.Semantic.DeepEqual(item.(*corev1.Endpoints).Labels, wanted.Labels):
		return nil
	default:
		written, err = c.client.CoreV1().Endpoints(k.Namespace).Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		return err
	}
	c.own.Wrote(k, c.endpoints.GetIndexer(), written)
	return nil
}

// subsetsOf groups the addresses of Pods by the ports that they offer: a named
// target port may be another number in each Pod.
func subsetsOf(service *corev1.Service, pods []*corev1.Pod) []corev1.EndpointSubset {
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Status.PodIP, b.Status.PodIP) })
	var subsets []corev1.EndpointSubset
	find := func(ports []corev1.EndpointPort) *corev1.EndpointSubset {
		for i := range subsets {
			if equality.Semantic.DeepEqual(subsets[i].Ports, ports) {
				return &subsets[i]
			}
		}
		subsets = append(subsets, corev1.EndpointSubset{Ports: ports})
		return &subsets[len(subsets)-1]
	}
	count := 0
	for _, pod := range pods {
		if !endpointsliceutil.ShouldPodBeInEndpoints(pod, service.Spec.PublishNotReadyAddresses) || count == maxEndpoints {
			continue
		}
		ports, ok := portsFor(service, pod)
		if !ok {
			continue
		}
		count++
		address := corev1.EndpointAddress{
			IP: pod.Status.PodIP, NodeName: &pod.Spec.NodeName,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}
		if endpointsliceutil.ShouldSetHostname(pod, service) {
			address.Hostname = pod.Spec.Hostname
		}
		subset := find(ports)
		if service.Spec.PublishNotReadyAddresses || endpointsliceutil.IsPodReady(pod) {
			subset.Addresses = append(subset.Addresses, address)
		} else {
			subset.NotReadyAddresses = append(subset.NotReadyAddresses, address)
		}
	}
	return subsets
}

// portsFor resolves the Service's ports for one Pod. It returns false if the
// Service has ports, and the Pod offers none of them.
func portsFor(service *corev1.Service, pod *corev1.Pod) ([]corev1.EndpointPort, bool) {
	var ports []corev1.EndpointPort
	for _, port := range service.Spec.Ports {
		number, found := targetPort(pod, &port)
		if found {
			ports = append(ports, corev1.EndpointPort{Name: port.Name, Port: number, Protocol: port.Protocol, AppProtocol: port.AppProtocol})
		}
	}
	slices.SortFunc(ports, func(a, b corev1.EndpointPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return ports, len(ports) > 0 || len(service.Spec.Ports) == 0
}

func targetPort(pod *corev1.Pod, port *corev1.ServicePort) (int32, bool) {
	if port.TargetPort.StrVal == "" {
		return port.TargetPort.IntVal, true
	}
	for _, container := range pod.Spec.Containers {
		for _, offered := range container.Ports {
			if offered.Name == port.TargetPort.StrVal && offered.Protocol == port.Protocol {
				return offered.ContainerPort, true
			}
		}
	}
	return 0, false
}
