package apiserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// listen opens the addresses of --listen and the Pods' gateway, and returns
// them as one listener.
func listen(config Config) (*listener, error) {
	l := &listener{accepted: make(chan net.Conn), closed: make(chan struct{})}
	if len(config.Listen) == 0 {
		return nil, errors.New("no address to listen on: give one with --listen, for example 127.0.0.1:6443")
	}
	for _, address := range config.Listen {
		if err := l.add(address, "--listen"); err != nil {
			l.Close()
			return nil, err
		}
	}
	if config.PodGateway.IsValid() && !l.covers(config.PodGateway) {
		gateway := netip.AddrPortFrom(config.PodGateway, l.port())
		if err := l.add(gateway.String(), "the first address of --pod-cidr"); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// listener accepts from several sockets. Its address is that of the first.
type listener struct {
	sockets  []net.Listener
	accepted chan net.Conn
	start    sync.Once
	stop     sync.Once
	closed   chan struct{}
}

// add opens one more socket; origin says in errors where its address is from.
func (l *listener) add(address, origin string) error {
	socket, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another process: choose another address with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s (%s) is no address of this machine: choose another one", address, origin)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no permission to listen on %s (%s): run as root, or choose a port above 1023", address, origin)
	case err != nil:
		return fmt.Errorf("listening on %q (%s): %w", address, origin, err)
	}
	l.sockets = append(l.sockets, socket)
	return nil
}

// covers tells if a socket already takes connections to address.
func (l *listener) covers(address netip.Addr) bool {
	for _, socket := range l.sockets {
		bound := socket.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if bound == address || bound.IsUnspecified() {
			return true
		}
	}
	return false
}

func (l *listener) port() uint16 { return l.sockets[0].Addr().(*net.TCPAddr).AddrPort().Port() }

// addresses are those that the sockets are bound to.
func (l *listener) addresses() []netip.Addr {
	var bound []netip.Addr
	for _, socket := range l.sockets {
		address := socket.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !address.IsUnspecified() {
			bound = append(bound, address)
		}
	}
	return bound
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.start.Do(func() {
		for _, socket := range l.sockets {
			go l.accept(socket)
		}
	})
	select {
	case connection := <-l.accepted:
		return connection, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) accept(socket net.Listener) {
	for {
		connection, err := socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the connection broke before it was taken, or descriptors ran out
		}
		select {
		case l.accepted <- connection:
		case <-l.closed:
			connection.Close()
			return
		}
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.stop.Do(func() {
		close(l.closed)
		for _, socket := range l.sockets {
			socket.Close()
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.sockets[0].Addr() }
