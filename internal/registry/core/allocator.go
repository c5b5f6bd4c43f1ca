package core

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Node ports come from this range (kube-apiserver's --service-node-port-range).
const firstNodePort, lastNodePort = 30000, 32767

// allocator gives Services their addresses and node ports. What is taken is
// read from the stored Services once, and kept in memory from then on: the
// Services are the only durable truth.
type allocator struct {
	prefix netip.Prefix
	// list returns all stored Services.
	list func(context.Context) (runtime.Object, error)

	mu     sync.Mutex
	loaded bool
	// taken are addresses and node ports in use, by owner for addresses.
	addresses map[netip.Addr]bool
	ports     map[nodePort]bool
	// next is where the search for a free address or port goes on, so that
	// a freed one is not given again at once.
	nextAddress netip.Addr
	nextPort    int32
}

// nodePort is a port of the node: TCP and UDP may share a number.
type nodePort struct {
	protocol corev1.Protocol
	port     int32
}

func newAllocator(prefix netip.Prefix, list func(context.Context) (runtime.Object, error)) *allocator {
	return &allocator{
		prefix: prefix.Masked(), list: list,
		addresses: map[netip.Addr]bool{}, ports: map[nodePort]bool{},
		nextAddress: firstDynamic(prefix), nextPort: firstNodePort,
	}
}

// firstDynamic leaves a band at the beginning of the range for addresses that
// are asked for by number: min(max(16, size/16), 256) addresses (KEP-3070).
func firstDynamic(prefix netip.Prefix) netip.Addr {
	size := 1 << min(32-prefix.Bits(), 16)
	offset := min(max(16, size/16), 256)
	if offset >= size-1 {
		offset = 1
	}
	addr := prefix.Masked().Addr()
	for range offset + 1 {
		addr = addr.Next()
	}
	return addr
}

// load reads what is taken. The caller holds mu.
func (a *allocator) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	obj, err := a.list(ctx)
	if err != nil {
		return fmt.Errorf("reading which Service addresses are taken: %w", err)
	}
	for i := range obj.(*corev1.ServiceList).Items {
		service := &obj.(*corev1.ServiceList).Items[i]
		for _, addr := range addressesOf(service) {
			a.addresses[addr] = true
		}
		for _, port := range portsOf(service) {
			a.ports[port] = true
		}
	}
	a.loaded = true
	return nil
}

// allocate gives service what it needs and has not got, beyond what old had.
// The returned function gives it all back.
func (a *allocator) allocate(ctx context.Context, service, old *corev1.Service) (undo func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	taken := &lease{allocator: a}
	if err := errors.Join(a.allocateAddress(taken, service, old), a.allocatePorts(taken, service, old)); err != nil {
		taken.giveBack()
		return nil, err
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		taken.giveBack()
	}, nil
}

// lease is what one request has taken.
type lease struct {
	*allocator
	addresses []netip.Addr
	ports     []nodePort
}

func (l *lease) giveBack() {
	for _, addr := range l.addresses {
		delete(l.allocator.addresses, addr)
	}
	for _, port := range l.ports {
		delete(l.allocator.ports, port)
	}
}

var errTaken = errors.New("provided IP is already allocated")

func (a *allocator) allocateAddress(taken *lease, service, old *corev1.Service) error {
	if service.Spec.Type == corev1.ServiceTypeExternalName || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if service.Spec.ClusterIP == "" {
		addr, err := a.freeAddress()
		if err != nil {
			return err
		}
		service.Spec.ClusterIP, service.Spec.ClusterIPs = addr.String(), []string{addr.String()}
		a.addresses[addr] = true
		taken.addresses = append(taken.addresses, addr)
		return nil
	}
	if old != nil && old.Spec.ClusterIP == service.Spec.ClusterIP {
		return nil
	}
	addr, err := netip.ParseAddr(service.Spec.ClusterIP)
	if err != nil {
		return nil // validation says what is wrong with it
	}
	if !a.prefix.Contains(addr) {
		return fmt.Errorf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", addr, a.prefix)
	}
	if a.addresses[addr] {
		return errTaken
	}
	a.addresses[addr] = true
	taken.addresses = append(taken.addresses, addr)
	return nil
}

func (a *allocator) freeAddress() (netip.Addr, error) {
	start := a.nextAddress
	for addr := start; ; {
		last := !a.prefix.Contains(addr.Next())
		// The first address of a range is its name, the last one broadcast.
		if addr != a.prefix.Addr() && !last && !a.addresses[addr] {
			a.nextAddress = addr.Next()
			return addr, nil
		}
		if addr = addr.Next(); !a.prefix.Contains(addr) {
			addr = a.prefix.Addr().Next()
		}
		if addr == start {
			return netip.Addr{}, errors.New("range is full")
		}
	}
}

func (a *allocator) allocatePorts(taken *lease, service, old *corev1.Service) error {
	if !wantsNodePorts(service) {
		return nil
	}
	had := map[nodePort]bool{}
	if old != nil {
		for _, port := range portsOf(old) {
			had[port] = true
		}
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		key := nodePort{port.Protocol, port.NodePort}
		switch {
		case port.NodePort == 0:
			free, err := a.freePort(port.Protocol)
			if err != nil {
				return err
			}
			port.NodePort, key.port = free, free
		case had[key]:
			continue
		case port.NodePort < firstNodePort || port.NodePort > lastNodePort:
			return fmt.Errorf("spec.ports[%d].nodePort: Invalid value: %d: provided port is not in the valid range. The range of valid ports is %d-%d", i, port.NodePort, firstNodePort, lastNodePort)
		case a.ports[key]:
			return fmt.Errorf("spec.ports[%d].nodePort: Invalid value: %d: provided port is already allocated", i, port.NodePort)
		}
		a.ports[key] = true
		taken.ports = append(taken.ports, key)
	}
	return nil
}

func (a *allocator) freePort(protocol corev1.Protocol) (int32, error) {
	for range lastNodePort - firstNodePort + 1 {
		port := a.nextPort
		if a.nextPort++; a.nextPort > lastNodePort {
			a.nextPort = firstNodePort
		}
		if !a.ports[nodePort{protocol, port}] {
			return port, nil
		}
	}
	return 0, errors.New("range is full")
}

// release gives back what service had and what is not wanted any more; nil
// wants nothing.
func (a *allocator) release(service, wanted *corev1.Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addressesOf(service) {
		delete(a.addresses, addr)
	}
	for _, port := range portsOf(service) {
		delete(a.ports, port)
	}
	if wanted == nil {
		return
	}
	for _, addr := range addressesOf(wanted) {
		a.addresses[addr] = true
	}
	for _, port := range portsOf(wanted) {
		a.ports[port] = true
	}
}

func wantsNodePorts(service *corev1.Service) bool {
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeLoadBalancer:
		return service.Spec.AllocateLoadBalancerNodePorts == nil || *service.Spec.AllocateLoadBalancerNodePorts
	default:
		return false
	}
}

func addressesOf(service *corev1.Service) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range service.Spec.ClusterIPs {
		if addr, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, addr)
		}
	}
	return addresses
}

func portsOf(service *corev1.Service) []nodePort {
	var ports []nodePort
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			ports = append(ports, nodePort{port.Protocol, port.NodePort})
		}
	}
	return ports
}
