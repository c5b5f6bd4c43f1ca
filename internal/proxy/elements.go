package proxy

import (
	"encoding/binary"
	"net/netip"

	"coxswain.dev/cox/internal/routing"
)

// element is one element of a set or map of our table. Two elements with the
// same set and key are the same element with another value.
type element struct {
	set setName
	// key and value are as the kernel has them in registers. In verdict maps
	// the value is the name of a chain to go to, or drop.
	key, value string
}

// setName is the name of a set or map; see skeleton.go for what is in each.
type setName string

const (
	setServices  setName = "services"
	setServed    setName = "served"
	setEndpoints setName = "endpoints"
	setRefused   setName = "refused"
	setHairpin   setName = "hairpin"
	setOutside   setName = "outside"
	setSticky    setName = "sticky"
	setKnown     setName = "known"
	setIngress   setName = "isolated-ingress"
	setEgress    setName = "isolated-egress"
)

// drop is the value in a verdict map that is no chain's name.
const drop = "drop"

// elements is all that a placement has in the kernel.
func (s *state) elements(frontend routing.Frontend, p placement) []element {
	if !p.rule.Frontend.Addr.IsValid() {
		return nil
	}
	key := frontendKey(frontend)
	if len(p.slots) == 0 {
		// Addresses of the Service range are refused as a whole.
		switch {
		case p.rule.Without == routing.Drop:
			return []element{{setRefused, key, drop}}
		case s.isService(frontend.Addr):
			return nil
		}
		return []element{{setRefused, key, "refuse"}}
	}
	list := make([]element, 0, 2+len(p.slots))
	list = append(list, element{set: setServed, key: key})
	if p.sticky() {
		list = append(list, element{setServices, key, stickyChain(frontend)})
		for i, endpoint := range p.slots {
			list = append(list, element{setSticky, key + native(uint32(i)), endpointChain(frontend, endpoint)})
		}
		return list
	}
	list = append(list, element{setServices, key, p.class().chain()})
	for i, endpoint := range p.slots {
		list = append(list, element{setEndpoints, key + native(uint32(i)), endpointValue(endpoint)})
	}
	return list
}

func hairpinElement(addr netip.Addr) element {
	ip := addr.As4()
	return element{set: setHairpin, key: string(ip[:]) + string(ip[:])}
}

func outsideElement(t target) element {
	return element{set: setOutside, key: frontendKey(routing.Frontend{Addr: t.endpoint.Addr(), Protocol: t.protocol, Port: t.endpoint.Port()})}
}

// frontendKey is address . protocol . port, each in a register of four bytes.
func frontendKey(f routing.Frontend) string {
	ip := f.Addr.As4()
	return string(ip[:]) + string([]byte{byte(f.Protocol), 0, 0, 0}) + port(f.Port)
}

// endpointValue is address . port.
func endpointValue(e routing.Endpoint) string {
	ip := e.Addr().As4()
	return string(ip[:]) + port(e.Port())
}

func port(n uint16) string { return string([]byte{byte(n >> 8), byte(n), 0, 0}) }

// native is a number as the processor has it, like a packet mark.
func native(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }
