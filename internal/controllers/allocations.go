package controllers

import (
	"cmp"
	"context"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// allocationLook is how often what is wrong is told again, as by upstream.
const allocationLook = 3 * time.Minute

// nodePortRange is where node ports come from.
var nodePortRange = struct{ first, last int32 }{30000, 32767}

// byAllocation is an index of Services by their cluster addresses and node
// ports.
const byAllocation = "allocation"

// allocations tells about addresses and ports that the API server would not
// give like this: a restored or edited store may have one twice, and with
// another --service-cidr addresses may lie outside of it. The first Service
// keeps what two have, for the proxy as well. What was allocated and belongs to
// nobody, the API server itself takes back.
type allocations struct {
	*base
	*loop
	services         cache.SharedIndexInformer
	addresses, ports record.EventRecorder
}

func newAllocations(b *base) (*loop, error) {
	c := &allocations{
		base: b, loop: newLoop("service allocations", 1, b.log), services: b.Core().V1().Services().Informer(),
		addresses: b.recorder("ipallocator-repair-controller"), ports: b.recorder("portallocator-repair-controller"),
	}
	c.loop.reconcile = c.reconcile
	if err := c.services.AddIndexers(cache.Indexers{byAllocation: func(obj any) ([]string, error) {
		service, ok := obj.(*corev1.Service)
		if !ok {
			return nil, nil
		}
		return allocationsOf(service), nil
	}}); err != nil {
		return nil, err
	}
	return c.loop, onAny(c.services, func(s *corev1.Service) { c.queue.Add(keyOf(s)) })
}

func allocationsOf(service *corev1.Service) (all []string) {
	for _, text := range service.Spec.ClusterIPs {
		if _, err := netip.ParseAddr(text); err == nil {
			all = append(all, text)
		}
	}
	for _, port := range nodePortsOf(service) {
		all = append(all, port.String())
	}
	return all
}

// nodePort is a port of the machine.
type nodePort struct {
	protocol corev1.Protocol
	port     int32
}

func (p nodePort) String() string { return string(p.protocol) + "/" + strconv.Itoa(int(p.port)) }

func nodePortsOf(service *corev1.Service) (ports []nodePort) {
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			ports = append(ports, nodePort{cmp.Or(port.Protocol, corev1.ProtocolTCP), port.NodePort})
		}
	}
	if port := service.Spec.HealthCheckNodePort; port != 0 {
		ports = append(ports, nodePort{corev1.ProtocolTCP, port})
	}
	return ports
}

func (c *allocations) reconcile(_ context.Context, k key) (time.Time, error) {
	item, exists, err := c.services.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return time.Time{}, err
	}
	service := item.(*corev1.Service)
	wrong, err := c.checkAddresses(service)
	if err != nil {
		return time.Time{}, err
	}
	wrongPorts, err := c.checkPorts(service)
	if err != nil || !wrong && !wrongPorts {
		return time.Time{}, err
	}
	return now().Add(allocationLook), nil
}

func (c *allocations) checkAddresses(service *corev1.Service) (wrong bool, err error) {
	for _, text := range service.Spec.ClusterIPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue // None
		}
		family := corev1.IPv4Protocol
		if addr.Is6() {
			family = corev1.IPv6Protocol
		}
		if cidr := c.config.ServiceCIDR; cidr.IsValid() && !cidr.Contains(addr) {
			wrong = true
			c.addresses.Eventf(service, corev1.EventTypeWarning, "ClusterIPOutOfRange", "Cluster IP [%v]: %s is not within any configured Service CIDR; please recreate service", family, addr)
			continue
		}
		earlier, err := c.isTaken(service, text)
		if err != nil {
			return wrong, err
		}
		if earlier {
			wrong = true
			c.addresses.Eventf(service, corev1.EventTypeWarning, "ClusterIPAlreadyAllocated", "Cluster IP [%v]:%s was assigned to multiple services; please recreate service", family, addr)
		}
	}
	return wrong, nil
}

func (c *allocations) checkPorts(service *corev1.Service) (wrong bool, err error) {
	for _, port := range nodePortsOf(service) {
		if port.port < nodePortRange.first || port.port > nodePortRange.last {
			wrong = true
			c.ports.Eventf(service, corev1.EventTypeWarning, "PortOutOfRange", "Port %d is not within the port range %d-%d; please recreate service", port.port, nodePortRange.first, nodePortRange.last)
			continue
		}
		earlier, err := c.isTaken(service, port.String())
		if err != nil {
			return wrong, err
		}
		if earlier {
			wrong = true
			c.ports.Eventf(service, corev1.EventTypeWarning, "PortAlreadyAllocated", "Port %d was assigned to multiple services; please recreate service", port.port)
		}
	}
	return wrong, nil
}

// isTaken tells whether an earlier Service has the same.
func (c *allocations) isTaken(service *corev1.Service, what string) (bool, error) {
	others, err := c.services.GetIndexer().ByIndex(byAllocation, what)
	if err != nil {
		return false, err
	}
	for _, item := range others {
		other := item.(*corev1.Service)
		if other.UID == service.UID {
			continue
		}
		if order := other.CreationTimestamp.Compare(service.CreationTimestamp.Time); order < 0 || order == 0 && keyOf(other).String() < keyOf(service).String() {
			return true, nil
		}
	}
	return false, nil
}
