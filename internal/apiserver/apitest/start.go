package apitest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/etcd"
)

// startLimit is how long a start may take on a loaded machine.
const startLimit = 60 * time.Second

// Server is a running API server of a test.
type Server struct {
	*apiserver.Server
	// URL is the server's, on a loopback port ("https://127.0.0.1:…").
	URL string
	// StoreEndpoint is the store's, for a look behind the API.
	StoreEndpoint string

	stop func()
}

// Option changes the configuration that Start uses.
type Option func(*options)

type options struct {
	config  apiserver.Config
	dataDir string
	log     *slog.Logger
}

// WithConfig changes the server's configuration.
func WithConfig(change func(*apiserver.Config)) Option {
	return func(o *options) { change(&o.config) }
}

// WithDataDir keeps the data in dir, so that a second Start finds it again.
func WithDataDir(dir string) Option { return func(o *options) { o.dataDir = dir } }

// WithLogger shows the log; by default nothing is.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Start starts a server that ends with the test, and waits until it is ready.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	o := options{config: apiserver.Config{Listen: []string{"127.0.0.1:0"}}}
	for _, option := range opts {
		option(&o)
	}
	if o.dataDir == "" {
		o.dataDir = t.TempDir()
	}
	store := startStore(t, o)
	o.config.DataDir, o.config.EtcdEndpoint, o.config.Logger = o.dataDir, store.Endpoint(), o.log
	server, err := apiserver.New(o.config)
	if err != nil {
		store.Close()
		t.Fatalf("building the API server: %v", err)
	}
	return run(t, server, store)
}

// startStore opens etcd below the data directory. Its socket lies elsewhere,
// since a test's directory may be too long for one.
func startStore(t testing.TB, o options) *etcd.Server {
	t.Helper()
	socketDir, err := os.MkdirTemp("", "cox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(socketDir) })
	store, err := etcd.Start(t.Context(), etcd.Config{DataDir: filepath.Join(o.dataDir, "etcd"), Socket: filepath.Join(socketDir, "etcd.sock"), Logger: o.log})
	if err != nil {
		t.Fatalf("starting the store: %v", err)
	}
	return store
}

func run(t testing.TB, server *apiserver.Server, store *etcd.Server) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	s := &Server{Server: server, URL: "https://" + server.Addr().String(), StoreEndpoint: store.Endpoint()}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the API server ended with: %v", err)
		}
		store.Close()
	}
	t.Cleanup(s.stop)
	select {
	case <-server.Ready():
	case err := <-ended:
		store.Close()
		t.Fatalf("the API server did not start: %v", err)
	case <-time.After(startLimit):
		t.Fatalf("the API server was not ready after %s", startLimit)
	}
	return s
}

// Stop ends the server and its store before the test's end.
func (s *Server) Stop() { s.stop() }

// Admin returns an in-process configuration that may do everything.
func (s *Server) Admin() *rest.Config {
	return s.ClientConfig("admin", user.SystemPrivilegedGroup)
}

// Client returns a client that may do everything.
func (s *Server) Client(t testing.TB) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Kubeconfig writes an administrator's kubeconfig for clients over TLS, and
// returns its path.
func (s *Server) Kubeconfig(t testing.TB) string {
	t.Helper()
	content, err := s.AdminKubeconfig(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
