package proxy

import (
	"fmt"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// kernel is our table in the kernel.
type kernel struct {
	config   Config
	conn     *nftables.Conn
	skeleton *skeleton
	state    *state
	guards   *guards
	// port is the address of our netlink socket, by which our own changes are
	// told from others'.
	port atomic.Uint32
}

// elementsPerMessage keeps a message below the 64 KiB that a netlink attribute
// can hold: an element takes at most about 60 bytes.
const elementsPerMessage = 1000

// socketBuffer holds the largest transaction: an element takes about 60 bytes,
// and 20,000 Services with ten endpoints each have 220,000.
const socketBuffer = 64 << 20

func newKernel(config Config) *kernel { return &kernel{config: config} }

func (k *kernel) close() {
	if k.conn != nil {
		// The socket is gone one way or the other.
		_ = k.conn.CloseLasting()
		k.conn = nil
	}
}

// isOwn tells whether a change was made through our socket.
func (k *kernel) isOwn(port uint32) bool { return port == k.port.Load() }

// connect opens the socket, if it is not open.
func (k *kernel) connect() error {
	if k.conn != nil {
		return nil
	}
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		if err := c.SetWriteBuffer(socketBuffer); err != nil {
			return err
		}
		if err := c.SetReadBuffer(socketBuffer); err != nil {
			return err
		}
		port, err := socketPort(c)
		k.port.Store(port)
		return err
	}))
	if err != nil {
		return fmt.Errorf("talking to nftables: %w", err)
	}
	k.conn = conn
	return nil
}

// rebuild replaces the whole table in one transaction.
func (k *kernel) rebuild(table *routing.Table, guards *guards) error {
	if err := k.connect(); err != nil {
		return err
	}
	before := k.state
	k.state = newState(k.config.PodCIDR.Contains, k.config.ServiceCIDR.Contains)
	if before != nil {
		// What was offered until now is compared with what will be.
		for addr := range before.offers {
			k.state.touched[addr] = struct{}{}
		}
	}
	var err error
	if k.skeleton, err = buildSkeleton(k.conn, k.config); err != nil {
		return k.failed(err)
	}
	plan := newPlan()
	for rule := range table.All() {
		k.state.place(rule.Frontend, &rule, plan)
	}
	k.guards = noGuards
	if err := k.addChains(plan); err != nil {
		return k.failed(err)
	}
	return k.commit(plan, guards)
}

// noGuards is what a new table has.
var noGuards = &guards{}

// update applies the rules of the Frontends given, and nothing else.
func (k *kernel) update(table *routing.Table, frontends []routing.Frontend, guards *guards) error {
	plan := newPlan()
	for _, frontend := range frontends {
		if rule, found := table.At(frontend); found {
			k.state.place(frontend, &rule, plan)
		} else {
			k.state.place(frontend, nil, plan)
		}
	}
	if plan.needsChains() {
		err := k.addChains(plan)
		if err == nil {
			err = k.conn.Flush()
		}
		if err != nil {
			return k.failed(err)
		}
	}
	return k.commit(plan, guards)
}

// addChains adds the chains that elements of the plan will lead to. Those that
// come to a table in use are a transaction of their own, before the elements:
// the kernel reads once for each packet which generation of rules it sees, but
// for each look-up which generation of elements, so that a packet on its way
// could be led to a new chain while that is empty for it, and be refused.
func (k *kernel) addChains(plan *plan) error {
	for _, c := range plan.classes {
		k.skeleton.addClass(k.conn, c)
	}
	for frontend, r := range plan.sticky {
		if err := k.skeleton.addSticky(k.conn, frontend, r); err != nil {
			return err
		}
	}
	return nil
}

// commit sends the rest as one transaction: all of it, or nothing.
func (k *kernel) commit(plan *plan, guards *guards) error {
	remove, add := plan.changes()
	for _, name := range []setName{setServices, setServed, setEndpoints, setRefused, setHairpin, setOutside, setSticky} {
		set := k.skeleton.sets[name]
		if err := inChunks(set, remove[name], k.conn.SetDeleteElements); err != nil {
			return k.failed(err)
		}
		if err := inChunks(set, add[name], k.conn.SetAddElements); err != nil {
			return k.failed(err)
		}
	}
	for frontend, r := range plan.sticky {
		k.skeleton.removeSticky(k.conn, frontend, r)
	}
	if err := k.skeleton.guard(k.conn, k.config, k.guards, guards); err != nil {
		return k.failed(err)
	}
	if err := k.conn.Flush(); err != nil {
		return k.failed(err)
	}
	k.guards = guards
	return nil
}

// failed gives the socket up, as answers may still be on their way to it.
func (k *kernel) failed(err error) error {
	k.close()
	return fmt.Errorf("changing the firewall table %s: %w", routing.TableName, err)
}

func inChunks(set *nftables.Set, elements []element, send func(*nftables.Set, []nftables.SetElement) error) error {
	for len(elements) > 0 {
		n := min(len(elements), elementsPerMessage)
		list := make([]nftables.SetElement, n)
		for i, e := range elements[:n] {
			list[i] = e.encode()
		}
		if err := send(set, list); err != nil {
			return err
		}
		elements = elements[n:]
	}
	return nil
}

func (e element) encode() nftables.SetElement {
	encoded := nftables.SetElement{Key: []byte(e.key)}
	switch e.set {
	case setServices, setRefused, setSticky:
		if e.value == drop {
			encoded.VerdictData = &expr.Verdict{Kind: expr.VerdictDrop}
		} else {
			encoded.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: e.value}
		}
	case setIngress, setEgress:
		encoded.VerdictData = &expr.Verdict{Kind: expr.VerdictJump, Chain: e.value}
	case setEndpoints:
		encoded.Val = []byte(e.value)
	}
	return encoded
}

// socketPort is the netlink address that the kernel gave a socket.
func socketPort(conn *netlink.Conn) (port uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var addr unix.Sockaddr
		if addr, err = unix.Getsockname(int(fd)); err == nil {
			port = addr.(*unix.SockaddrNetlink).Pid
		}
	})
	if controlErr != nil {
		return 0, controlErr
	}
	return port, err
}
