package core

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Node ports come from this range (kube-apiserver's --service-node-port-range).
const firstNodePort, lastNodePort = 30000, 32767

// nodePort is a port of the node: TCP and UDP may share a number.
type nodePort struct {
	protocol corev1.Protocol
	port     int32
}

// portPool hands out node ports. Its methods are called by one goroutine at a
// time.
type portPool struct {
	taken claims[nodePort]
	next  int32
}

func newPortPool() *portPool {
	return &portPool{taken: claims[nodePort]{}, next: firstDynamicPort()}
}

// firstDynamicPort leaves a band for ports that are asked for by number, as
// for addresses (KEP-3668): min(max(16, size/32), 128) ports.
func firstDynamicPort() int32 {
	return firstNodePort + int32(min(max(16, (lastNodePort-firstNodePort+1)/32), 128))
}

// request claims one port by number.
func (p *portPool) request(port nodePort, owner types.UID, now time.Time) error {
	if port.port < firstNodePort || port.port > lastNodePort {
		return fmt.Errorf("provided port is not in the valid range. The range of valid ports is %d-%d", firstNodePort, lastNodePort)
	}
	if !p.taken.take(port, owner, now) {
		return errPortTaken
	}
	return nil
}

// any claims a free port.
func (p *portPool) any(protocol corev1.Protocol, owner types.UID, now time.Time) (int32, error) {
	for range lastNodePort - firstNodePort + 1 {
		port := p.next
		if p.next++; p.next > lastNodePort {
			p.next = firstNodePort
		}
		key := nodePort{protocol, port}
		if _, taken := p.taken[key]; !taken {
			p.taken.take(key, owner, now)
			return port, nil
		}
	}
	return 0, errRangeFull
}
