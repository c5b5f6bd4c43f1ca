package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	// Hold makes the machine have these addresses besides its own, and gives
	// up those that it was to have before.
	Hold(addresses []netip.Addr) error
}

// loadBalancerLook is how often the machine is looked at again, which tells
// nobody when an address or a port comes or goes.
const loadBalancerLook = 30 * time.Second

// sshPort is never taken: somebody may need it to mend what is wrong.
const sshPort = 22

// loadBalancers gives Services of this type the machine's own addresses, or
// each one of a pool, which the machine then has too. What answers there are
// the proxy's rules, as soon as the status says so.
type loadBalancers struct {
	*base
	*loop
	services cache.SharedIndexInformer
	events   record.EventRecorder
	machine  Machine
	pool     AddressPool
	// given is what each Service was given last, also before the cache knows.
	given map[types.UID][]netip.Addr
	// reserved are ports of the machine's own addresses that no Service gets.
	reserved []int32
}

func newLoadBalancers(b *base) (*loop, error) {
	c := &loadBalancers{
		base: b, loop: newLoop("load balancer", 1, b.log), services: b.Core().V1().Services().Informer(),
		events: b.recorder("service-controller"), machine: b.config.Machine, pool: b.config.AddressPool, given: map[types.UID][]netip.Addr{},
		reserved: append([]int32{sshPort}, b.config.ReservedPorts...),
	}
	c.loop.reconcile = c.reconcile
	if c.machine == nil {
		return c.loop, nil
	}
	_, err := c.services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.queue.Add(keyOf(obj.(*corev1.Service))) },
		UpdateFunc: func(_, obj any) { c.queue.Add(keyOf(obj.(*corev1.Service))) },
		DeleteFunc: func(any) {
			c.lookAtAll() // a port may be free now
			c.queue.Add(anyService)
		},
	})
	if err != nil {
		return nil, err
	}
	c.queue.Add(anyService) // an earlier run may have left addresses
	return c.loop, watchOwn(c.own, c.services)
}

// anyService is the key of no Service: only the addresses are looked at.
var anyService = key{}

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
		return time.Time{}, errors.Join(err, c.hold())
	}
	before := item.(*corev1.Service)
	if !isOurs(before) {
		delete(c.given, before.UID)
		if before.Spec.Type != corev1.ServiceTypeLoadBalancer && len(before.Status.LoadBalancer.Ingress) > 0 {
			return time.Time{}, c.write(ctx, k, before, nil) // it was one
		}
		return time.Time{}, c.hold()
	}
	wakeAt := now().Add(loadBalancerLook)
	c.given[before.UID], err = c.addressesFor(before)
	if err == nil {
		err = c.hold()
	}
	if err != nil {
		delete(c.given, before.UID)
		c.events.Eventf(before, corev1.EventTypeWarning, "SyncLoadBalancerFailed", "Error syncing load balancer: %v", err)
	}
	return wakeAt, c.write(ctx, k, before, c.given[before.UID])
}

// addressesFor are the addresses that a Service gets, or why it gets none.
func (c *loadBalancers) addressesFor(service *corev1.Service) ([]netip.Addr, error) {
	own, err := c.machine.Addresses()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's addresses: %w", err)
	}
	addresses := own
	switch wanted := service.Spec.LoadBalancerIP; {
	case wanted != "":
		addr, err := netip.ParseAddr(wanted)
		if err != nil || !slices.Contains(own, addr) && !c.pool.Contains(addr) {
			return nil, fmt.Errorf("spec.loadBalancerIP %s is none of %s", wanted, c.choice(own))
		}
		addresses = []netip.Addr{addr}
	case len(c.pool) > 0:
		addr, found := c.fromPool(service, own)
		if !found {
			return nil, fmt.Errorf("every address of the pool %s is held by another Service", c.pool)
		}
		addresses = []netip.Addr{addr}
	case len(addresses) == 0:
		return nil, fmt.Errorf("this machine has no IPv4 address that others could reach")
	}
	return addresses, c.mayHaveAll(service, addresses, own)
}

// choice says which addresses a Service may ask for.
func (c *loadBalancers) choice(own []netip.Addr) string {
	text := fmt.Sprintf("this machine's addresses %v", own)
	if len(c.pool) > 0 {
		text += fmt.Sprintf(" and not in the pool %s", c.pool)
	}
	return text
}

// fromPool chooses the address that a Service has already, or a free one. Those
// that the machine has anyway come last: not every port of them is free.
func (c *loadBalancers) fromPool(service *corev1.Service, own []netip.Addr) (netip.Addr, bool) {
	taken := map[netip.Addr]bool{}
	for _, item := range c.services.GetStore().List() {
		if other := item.(*corev1.Service); isOurs(other) && other.UID != service.UID {
			for _, addr := range c.claimed(other, nil) {
				taken[addr] = true
			}
		}
	}
	for _, addr := range c.claimed(service, nil) {
		if c.pool.Contains(addr) && !taken[addr] {
			return addr, true
		}
	}
	others := maps.Clone(taken)
	for _, addr := range own {
		others[addr] = true
	}
	if addr, found := c.pool.free(others); found {
		return addr, true
	}
	return c.pool.free(taken)
}

// claimed are the addresses that a Service has or waits for: those that it was
// given or that its status says, the one that it asks for, or otherwise.
func (c *loadBalancers) claimed(service *corev1.Service, otherwise []netip.Addr) []netip.Addr {
	if given, has := c.given[service.UID]; has {
		return given
	}
	if has := ingressAddrs(service); len(has) > 0 {
		return has
	}
	if addr, err := netip.ParseAddr(service.Spec.LoadBalancerIP); err == nil {
		return []netip.Addr{addr}
	}
	return otherwise
}

func ingressAddrs(service *corev1.Service) (addresses []netip.Addr) {
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if addr, err := netip.ParseAddr(ingress.IP); err == nil {
			addresses = append(addresses, addr)
		}
	}
	return addresses
}

// hold makes the machine have the addresses of the pool that Services have.
func (c *loadBalancers) hold() error {
	own, err := c.machine.Addresses()
	if err != nil {
		return fmt.Errorf("reading the machine's addresses: %w", err)
	}
	var wanted []netip.Addr
	there := map[types.UID]bool{}
	for _, item := range c.services.GetStore().List() {
		if service := item.(*corev1.Service); isOurs(service) {
			there[service.UID] = true
			wanted = append(append(wanted, ingressAddrs(service)...), c.given[service.UID]...)
		}
	}
	maps.DeleteFunc(c.given, func(uid types.UID, _ []netip.Addr) bool { return !there[uid] })
	wanted = slices.DeleteFunc(wanted, func(addr netip.Addr) bool { return !c.pool.Contains(addr) || slices.Contains(own, addr) })
	slices.SortFunc(wanted, netip.Addr.Compare)
	return c.machine.Hold(slices.Compact(wanted))
}

// mayHaveAll says which port a Service may not have, and why.
func (c *loadBalancers) mayHaveAll(service *corev1.Service, addresses, own []netip.Addr) error {
	for _, port := range service.Spec.Ports {
		if err := c.mayHave(service, port, addresses, own); err != nil {
			return err
		}
	}
	return nil
}

// mayHave says who else has a port: another Service was there first, it is
// reserved, or a program listens on it. The last two are for the machine's own
// addresses: of the others every port is free.
func (c *loadBalancers) mayHave(service *corev1.Service, port corev1.ServicePort, addresses, own []netip.Addr) error {
	for _, item := range c.services.GetStore().List() {
		other := item.(*corev1.Service)
		if other.UID == service.UID {
			continue
		}
		if isOurs(other) && isFirst(other, service) && holds(other, port) && share(addresses, c.claimed(other, c.ownUnlessPooled(own))) {
			return fmt.Errorf("port %d/%s is held by Service %s/%s", port.Port, port.Protocol, other.Namespace, other.Name)
		}
		if share(addresses, own) && holdsNodePort(other, port) {
			return fmt.Errorf("port %d/%s is a node port of Service %s/%s", port.Port, port.Protocol, other.Namespace, other.Name)
		}
	}
	for _, addr := range addresses {
		if !slices.Contains(own, addr) {
			continue
		}
		if port.Protocol == corev1.ProtocolTCP && slices.Contains(c.reserved, port.Port) {
			return fmt.Errorf("port %d/%s is reserved for this machine itself", port.Port, port.Protocol)
		}
		if !c.machine.PortFree(addr, port.Protocol, port.Port) {
			return fmt.Errorf("port %d/%s is in use on %s by a program of this machine", port.Port, port.Protocol, addr)
		}
	}
	return nil
}

// ownUnlessPooled are the addresses of a Service that does not ask for one.
func (c *loadBalancers) ownUnlessPooled(own []netip.Addr) []netip.Addr {
	if len(c.pool) > 0 {
		return nil
	}
	return own
}

func share(a, b []netip.Addr) bool {
	return slices.ContainsFunc(a, func(addr netip.Addr) bool { return slices.Contains(b, addr) })
}

// holdsNodePort tells whether a port is a node port of a Service, which answers
// on all of the machine's addresses.
func holdsNodePort(service *corev1.Service, wanted corev1.ServicePort) bool {
	return slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
		return port.NodePort == wanted.Port && port.Protocol == wanted.Protocol
	})
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
	}
	if len(before.Status.LoadBalancer.Ingress) > 0 {
		c.lookAtAll() // somebody else may have waited for what it had
	}
	return nil
}
