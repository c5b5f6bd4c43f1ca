package harness

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/vishvananda/netns"
)

// ServeImages serves the images of bin/http-go.tar, under their published
// names, and more by name, from a registry on the instance's loopback. It
// returns host:port.
func (i *Instance) ServeImages(more ...NamedImage) string {
	i.t.Helper()
	listener, err := i.Listen("127.0.0.1:5000")
	if err != nil {
		i.t.Fatal(err)
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	i.t.Cleanup(func() { server.Close() })
	pushImages(i.t, handler, more)
	return "127.0.0.1:5000"
}

// NamedImage is an image with its name and tag.
type NamedImage struct {
	Name  string
	Image v1.Image
}

// pushImages puts the images in through the handler, with no network between.
func pushImages(t testing.TB, handler http.Handler, images []NamedImage) {
	t.Helper()
	for _, version := range []string{"v1", "v2", "v3"} {
		published, err := name.NewTag("gasbugs/http-go:" + version)
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(Binary("http-go.tar"), &published)
		if err != nil {
			t.Fatalf("%s: %v (run make)", published, err)
		}
		images = append(images, NamedImage{"gasbugs/http-go:" + version, image})
	}
	for _, image := range images {
		served, err := name.NewTag("registry.test/"+image.Name, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(served, image.Image, remote.WithTransport(handlerTransport{handler})); err != nil {
			t.Fatalf("pushing %s: %v", served, err)
		}
	}
}

// Listen opens a listener inside the instance's network namespace.
func (i *Instance) Listen(address string) (net.Listener, error) {
	var listener net.Listener
	err := i.Inside(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	return listener, err
}

// Inside runs f on a thread that is in the instance's network namespace.
// Sockets that f opens stay there.
func (i *Instance) Inside(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- i.inside(f)
	}()
	return <-result
}

// inside enters the namespace, calls f and goes back. The thread is given back
// only if that worked: otherwise it ends with its goroutine.
func (i *Instance) inside(f func() error) error {
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := netns.GetFromPath(i.Namespace)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return fmt.Errorf("entering %s: %w", i.Namespace, err)
	}
	failed := f()
	if err := netns.Set(home); err != nil {
		return fmt.Errorf("leaving %s: %w", i.Namespace, err)
	}
	runtime.UnlockOSThread()
	return failed
}
