package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	// headerLimit bounds how long a client may take to say what it wants.
	headerLimit = 30 * time.Second
	// keepLimit is how long a connection without a request is kept for a
	// client.
	keepLimit = 180 * time.Second
	// closeLimit bounds how long requests under way hold up the end.
	closeLimit = 5 * time.Second
)

// door is an address that clients come in by.
type door struct {
	// address is host:port; without a host all addresses of this machine.
	address string
	// secure speaks TLS.
	secure bool
	// server is nil while the door is closed.
	server *http.Server
	// at is where it listens while it is open.
	at net.Addr
}

// doors are all of them, with what is behind.
type doors struct {
	all          []*door
	handler      http.Handler
	certificates func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	log          *slog.Logger
	// closing are doors that still answer requests under way.
	closing sync.WaitGroup
}

// open opens the doors that are closed, and says which cannot be. taken tells
// who else has an address's port, "" for nobody.
func (d *doors) open(taken func(port string) string) error {
	var errs []error
	for _, door := range d.all {
		_, port, err := net.SplitHostPort(door.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("address %q: %w", door.address, err))
			continue
		}
		if other := taken(port); other != "" {
			d.shut(door)
			errs = append(errs, fmt.Errorf("port %s is held by %s", port, other))
			continue
		}
		if door.server != nil {
			continue
		}
		if err := d.listen(door); errors.Is(err, syscall.EADDRINUSE) {
			errs = append(errs, fmt.Errorf("port %s is in use by another program of this machine: stop that, or choose another port with --ingress-http and --ingress-https", port))
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d *doors) listen(door *door) error {
	listener, err := net.Listen("tcp", door.address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", door.address, err)
	}
	server := &http.Server{
		Handler: d.handler, ReadHeaderTimeout: headerLimit, IdleTimeout: keepLimit, ErrorLog: quiet(d.log),
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	serve := server.Serve
	if door.secure {
		server.Protocols.SetHTTP2(true)
		server.TLSConfig = &tls.Config{GetCertificate: d.certificates, MinVersion: tls.VersionTLS12}
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	} else {
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	door.server, door.at = server, listener.Addr()
	go func() {
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the Ingress front does not listen any more", "address", door.address, "error", err)
		}
	}()
	return nil
}

// shut stops listening at once, and answers what is under way behind the
// caller's back.
func (d *doors) shut(door *door) {
	if door.server == nil {
		return
	}
	server := door.server
	door.server, door.at = nil, nil
	d.closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
}

// shutAll shuts every door.
func (d *doors) shutAll() {
	for _, door := range d.all {
		d.shut(door)
	}
}
