package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"
)

// Machine is what LoadBalancer Services stand on.
type Machine interface {
	// Addresses are those that others reach this machine by, IPv4.
	Addresses() ([]netip.Addr, error)
	// PortFree tells whether nobody listens on a port of an address.
	PortFree(addr netip.Addr, protocol corev1.Protocol, port int32) bool
}

// loadBalancerLook is how often the machine is looked at again, which tells
// nobody when an address or a port comes or goes.
const loadBalancerLook = 30 * time.Second

// sshPort is never taken: somebody may need it to mend what is wrong.
const sshPort = 22

// loadBalancers gives Services of this type the machine's own addresses. What
// answers there are the proxy's rules, as soon as the status says so.
type loadBalancers struct {
	*base
	*loop
	services cache.SharedIndexInformer
	events   record.EventRecorder
	machine  Machine
	// reserved are ports that no Service gets.
	reserved []int32
}

func newLoadBalancers(b *base) (*loop, error) {
	c := &loadBalancers{
		base: b, loop: newLoop("load balancer", 1, b.log), services: b.Core().V1().Services().Informer(),
		events: b.recorder("service-controller"), machine: b.config.Machine, reserved: append([]int32{sshPort}, b.config.ReservedPorts...),
	}
	c.loop.reconcile = c.reconcile
	if c.machine == nil {
		return c.loop, nil
	}
	_, err := c.services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.queue.Add(keyOf(obj.(*corev1.Service))) },
		UpdateFunc: func(_, obj any) { c.queue.Add(keyOf(obj.(*corev1.Service))) },
		DeleteFunc: func(any) { c.lookAtAll() }, // a port may be free now
	})
	if err != nil {
		return nil, err
	}
	return c.loop, watchOwn(c.own, c.services)
}

// lookAtAll looks at every LoadBalancer Service again.
func (c *loadBalancers) lookAtAll() {
	for _, item := range c.services.GetStore().List() {
		if service := item.(*corev1.Service); isOurs(service) {
			c.queue.Add(keyOf(service))
		}
	}
}

// isOurs leaves Services with a class to whoever implements it.
func isOurs(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

func (c *loadBalancers) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.services.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	before := item.(*corev1.Service)
	if !isOurs(before) {
		if before.Spec.Type == corev1.ServiceTypeLoadBalancer || len(before.Status.LoadBalancer.Ingress) == 0 {
			return time.Time{}, nil
		}
		return time.Time{}, c.write(ctx, k, before, nil) // it was one
	}
	wakeAt := now().Add(loadBalancerLook)
	addresses, err := c.addressesFor(before)
	if err != nil {
		c.events.Eventf(before, corev1.EventTypeWarning, "SyncLoadBalancerFailed", "Error syncing load balancer: %v", err)
		return wakeAt, c.write(ctx, k, before, nil)
	}
	return wakeAt, c.write(ctx, k, before, addresses)
}

// addressesFor are the addresses that a Service gets, or why it gets none.
func (c *loadBalancers) addressesFor(service *corev1.Service) ([]netip.Addr, error) {
	addresses, err := c.machine.Addresses()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's addresses: %w", err)
	}
	if wanted := service.Spec.LoadBalancerIP; wanted != "" {
		addr, err := netip.ParseAddr(wanted)
		if err != nil || !slices.Contains(addresses, addr) {
			return nil, fmt.Errorf("spec.loadBalancerIP %s is none of this machine's addresses %v", wanted, addresses)
		}
		addresses = []netip.Addr{addr}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("this machine has no IPv4 address that others could reach")
	}
	for _, port := range service.Spec.Ports {
		if err := c.mayHave(service, port, addresses); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// mayHave says who else has a port: it is reserved, another Service was there
// first, or a program listens on it.
func (c *loadBalancers) mayHave(service *corev1.Service, port corev1.ServicePort, addresses []netip.Addr) error {
	if port.Protocol == corev1.ProtocolTCP && slices.Contains(c.reserved, port.Port) {
		return fmt.Errorf("port %d/%s is reserved for this machine itself", port.Port, port.Protocol)
	}
	for _, item := range c.services.GetStore().List() {
		other := item.(*corev1.Service)
		if isOurs(other) && other.UID != service.UID && isFirst(other, service) && holds(other, port) {
			return fmt.Errorf("port %d/%s is held by Service %s/%s", port.Port, port.Protocol, other.Namespace, other.Name)
		}
	}
	for _, addr := range addresses {
		if !c.machine.PortFree(addr, port.Protocol, port.Port) {
			return fmt.Errorf("port %d/%s is in use on %s by a program of this machine", port.Port, port.Protocol, addr)
		}
	}
	return nil
}

// isFirst puts who has an address already before who has none, and then the
// older before the younger.
func isFirst(a, b *corev1.Service) bool {
	hasA, hasB := len(a.Status.LoadBalancer.Ingress) > 0, len(b.Status.LoadBalancer.Ingress) > 0
	if hasA != hasB {
		return hasA
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

func holds(service *corev1.Service, wanted corev1.ServicePort) bool {
	return slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
		return port.Port == wanted.Port && port.Protocol == wanted.Protocol
	})
}

// write makes the status say where a Service answers; no addresses make it
// pending.
func (c *loadBalancers) write(ctx context.Context, k key, before *corev1.Service, addresses []netip.Addr) error {
	status := corev1.LoadBalancerStatus{}
	for _, addr := range addresses {
		status.Ingress = append(status.Ingress, corev1.LoadBalancerIngress{IP: addr.String(), IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)})
	}
	if equality.Semantic.DeepEqual(before.Status.LoadBalancer, status) {
		return nil
	}
	changed := before.DeepCopy()
	changed.Status.LoadBalancer = status
	written, err := c.client.CoreV1().Services(k.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.own.Wrote(k, c.services.GetIndexer(), written)
	if len(addresses) > 0 {
		c.events.Event(before, corev1.EventTypeNormal, "EnsuredLoadBalancer", "Ensured load balancer")
	} else {
		c.lookAtAll() // somebody else may have waited for the port
	}
	return nil
}
