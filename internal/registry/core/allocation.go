package core

import (
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/core"
)

// allocation is what one request has taken, and nobody had before.
type allocation struct {
	*allocator
	service   *corev1.Service
	now       time.Time
	addresses []netip.Addr
	ports     []nodePort
}

// attempt allocates all or nothing. The caller holds mu.
func (a *allocator) attempt(service, old *corev1.Service) (*allocation, error) {
	taken := &allocation{allocator: a, service: service, now: a.now()}
	had := &corev1.Service{}
	if old != nil {
		had = old
	}
	for _, allocate := range []func(*corev1.Service) error{taken.address, taken.nodePorts, taken.healthCheckPort} {
		if err := allocate(had); err != nil {
			taken.giveBack()
			return nil, err
		}
	}
	return taken, nil
}

// giveBack undoes the allocation. The Service keeps what it was given: a second
// attempt asks for the same.
func (t *allocation) giveBack() {
	for _, addr := range t.addresses {
		t.allocator.addresses.taken.release(addr, t.service.UID)
	}
	for _, port := range t.ports {
		t.allocator.ports.taken.release(port, t.service.UID)
	}
}

func (t *allocation) invalid(path *field.Path, value any, message string, cause error) error {
	err := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), t.service.Name, field.ErrorList{field.Invalid(path, value, message)})
	return &allocationError{err, cause}
}

// allocationError is what the client is told, with what to decide by.
type allocationError struct {
	*apierrors.StatusError
	cause error
}

func (e *allocationError) Unwrap() []error { return []error{e.StatusError, e.cause} }

func (t *allocation) address(old *corev1.Service) error {
	spec := &t.service.Spec
	if !api.WantsClusterIP(spec) || spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if spec.ClusterIP == "" {
		addr, err := t.allocator.addresses.any(t.service.UID, t.now)
		if err != nil {
			return &allocationError{apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP: %w", err)), err}
		}
		t.addresses = append(t.addresses, addr)
		spec.ClusterIP, spec.ClusterIPs = addr.String(), []string{addr.String()}
		return nil
	}
	if old.Spec.ClusterIP == spec.ClusterIP {
		return nil
	}
	addr, err := netip.ParseAddr(spec.ClusterIP)
	if err != nil {
		return nil // validation says what is wrong with it
	}
	if err := t.allocator.addresses.request(addr, t.service.UID, t.now); err != nil {
		return t.invalid(field.NewPath("spec", "clusterIPs"), spec.ClusterIPs, fmt.Sprintf("failed to allocate IP %s: %v", addr, err), err)
	}
	t.addresses = append(t.addresses, addr)
	return nil
}

func (t *allocation) nodePorts(old *corev1.Service) error {
	spec := &t.service.Spec
	had := map[nodePort]bool{}
	for _, port := range portsOf(old) {
		had[port] = true
	}
	// Ports asked for by number come first: a free one must not be theirs.
	for i := range spec.Ports {
		key := nodePort{spec.Ports[i].Protocol, spec.Ports[i].NodePort}
		if key.port == 0 || had[key] || spec.Type == corev1.ServiceTypeClusterIP || spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		if err := t.allocator.ports.request(key, t.service.UID, t.now); err != nil {
			return t.invalid(field.NewPath("spec", "ports").Index(i).Child("nodePort"), key.port, err.Error(), err)
		}
		t.ports = append(t.ports, key)
	}
	if !api.WantsNodePorts(spec) {
		return nil
	}
	for i := range spec.Ports {
		if spec.Ports[i].NodePort == 0 {
			if err := t.freePort(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// freePort gives port i a node port: the one that the same port has under
// another protocol, if it is free.
func (t *allocation) freePort(i int) error {
	port := &t.service.Spec.Ports[i]
	for _, sibling := range t.service.Spec.Ports {
		key := nodePort{port.Protocol, sibling.NodePort}
		if sibling.Port == port.Port && sibling.Protocol != port.Protocol && sibling.NodePort != 0 &&
			t.allocator.ports.request(key, t.service.UID, t.now) == nil {
			port.NodePort = key.port
			t.ports = append(t.ports, key)
			return nil
		}
	}
	free, err := t.allocator.ports.any(port.Protocol, t.service.UID, t.now)
	if err != nil {
		return &allocationError{apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err)), err}
	}
	port.NodePort = free
	t.ports = append(t.ports, nodePort{port.Protocol, free})
	return nil
}

func (t *allocation) healthCheckPort(old *corev1.Service) error {
	spec := &t.service.Spec
	if !api.WantsHealthCheckPort(spec) || spec.HealthCheckNodePort != 0 && spec.HealthCheckNodePort == old.Spec.HealthCheckNodePort {
		return nil
	}
	key := nodePort{corev1.ProtocolTCP, spec.HealthCheckNodePort}
	var err error
	if key.port != 0 {
		err = t.allocator.ports.request(key, t.service.UID, t.now)
	} else {
		key.port, err = t.allocator.ports.any(key.protocol, t.service.UID, t.now)
	}
	if err != nil {
		return &allocationError{apierrors.NewInternalError(fmt.Errorf("failed to allocate requested HealthCheck NodePort %v: %w", key.port, err)), err}
	}
	spec.HealthCheckNodePort = key.port
	t.ports = append(t.ports, key)
	return nil
}
