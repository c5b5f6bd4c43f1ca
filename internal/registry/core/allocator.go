package core

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// allocator gives Services their addresses and node ports. The stored Services
// are the only durable truth: they are read at the first use, and again
// whenever something is refused, so that what a failed request left behind
// stands in nobody's way for long.
type allocator struct {
	// list returns all stored Services.
	list func(context.Context) (*corev1.ServiceList, error)
	now  func() time.Time

	mu        sync.Mutex
	loaded    bool
	addresses *addressPool
	ports     *portPool
}

func newAllocator(prefix netip.Prefix, list func(context.Context) (*corev1.ServiceList, error)) *allocator {
	return &allocator{list: list, now: time.Now, addresses: newAddressPool(prefix), ports: newPortPool()}
}

// allocate gives service what it needs and has not got. The returned function
// gives all that is new back.
func (a *allocator) allocate(ctx context.Context, service, old *corev1.Service) (undo func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.loaded {
		if err := a.repair(ctx); err != nil {
			return nil, err
		}
	}
	taken, err := a.attempt(service, old)
	if refused(err) {
		if err := a.repair(ctx); err != nil {
			return nil, err
		}
		taken, err = a.attempt(service, old)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		taken.giveBack()
	}, nil
}

// refused tells whether something might be free that looks taken.
func refused(err error) bool {
	return errors.Is(err, errIPTaken) || errors.Is(err, errPortTaken) || errors.Is(err, errRangeFull)
}

// repair compares the claims with what is stored. The caller holds mu.
func (a *allocator) repair(ctx context.Context) error {
	list, err := a.list(ctx)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("reading which Service addresses are taken: %w", err))
	}
	addresses, ports := map[netip.Addr]types.UID{}, map[nodePort]types.UID{}
	for i := range list.Items {
		service := &list.Items[i]
		for _, addr := range addressesOf(service) {
			addresses[addr] = service.UID
		}
		for _, port := range portsOf(service) {
			ports[port] = service.UID
		}
	}
	a.addresses.taken.repair(addresses, a.now())
	a.ports.taken.repair(ports, a.now())
	a.loaded = true
	return nil
}

// giveUp is for an update that is about to be stored: what old had and service
// has not is free once it is.
func (a *allocator) giveUp(old, service *corev1.Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept, keptPorts := map[netip.Addr]bool{}, map[nodePort]bool{}
	for _, addr := range addressesOf(service) {
		kept[addr] = true
	}
	for _, port := range portsOf(service) {
		keptPorts[port] = true
	}
	for _, addr := range addressesOf(old) {
		if !kept[addr] {
			a.addresses.taken.giveUp(addr, old.UID)
		}
	}
	for _, port := range portsOf(old) {
		if !keptPorts[port] {
			a.ports.taken.giveUp(port, old.UID)
		}
	}
}

// release gives back what a deleted Service had.
func (a *allocator) release(service *corev1.Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addressesOf(service) {
		a.addresses.taken.release(addr, service.UID)
	}
	for _, port := range portsOf(service) {
		a.ports.taken.release(port, service.UID)
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

// portsOf returns the node ports of a Service; the one for health checks is
// TCP.
func portsOf(service *corev1.Service) []nodePort {
	var ports []nodePort
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			ports = append(ports, nodePort{port.Protocol, port.NodePort})
		}
	}
	if port := service.Spec.HealthCheckNodePort; port != 0 {
		ports = append(ports, nodePort{corev1.ProtocolTCP, port})
	}
	return ports
}
