package apiserver

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/inprocess"
	"coxswain.dev/cox/internal/apiserver/pki"
	"coxswain.dev/cox/internal/apiserver/rbac"
)

const (
	// shutdownGrace is how long open requests may go on after the stop.
	shutdownGrace = 2 * time.Second
	// watchGrace is how long watches are given to end by themselves.
	watchGrace = 500 * time.Millisecond
)

// Server is the API server. Its methods may be called from any goroutine.
type Server struct {
	config    Config
	authority *pki.Authority
	inProcess *inprocess.Handler
	sockets   *listener
	stores    *stores
	// client and informers are the server's own view of what it serves, as
	// system:apiserver.
	client    kubernetes.Interface
	informers informers.SharedInformerFactory
	*access
	// types are the Go types of the served resources.
	types map[schema.GroupVersionResource]reflect.Type
	// storages are those that fill a watch cache first.
	storages []rest.StorageWithReadiness
	generic  *genericapiserver.GenericAPIServer
	ready    chan struct{}
	// stopping is closed when Run is told to stop: streams end then.
	stopping chan struct{}
}

// New opens the listening sockets and builds the server. After an error
// nothing is left open.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	authority, err := pki.Open(filepath.Join(config.DataDir, "pki"))
	if err != nil {
		return nil, err
	}
	sockets, err := listen(config)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, authority: authority, inProcess: &inprocess.Handler{}, sockets: sockets, ready: make(chan struct{}), stopping: make(chan struct{})}
	if err := s.build(); err != nil {
		sockets.Close()
		if s.stores != nil {
			s.stores.close()
		}
		return nil, err
	}
	return s, nil
}

// build assembles the server from the inside out.
func (s *Server) build() (err error) {
	s.client, err = kubernetes.NewForConfig(s.loopback())
	if err != nil {
		return fmt.Errorf("the API server's own client: %w", err)
	}
	s.informers = informers.NewSharedInformerFactory(s.client, 0)
	if s.access, err = newAccess(s.authority, s.informers); err != nil {
		return err
	}
	served := s.kinds()
	scheme, err := newScheme(served)
	if err != nil {
		return fmt.Errorf("the API's types: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	if s.stores, err = newStores(scheme, codecs, s.config.EtcdEndpoint); err != nil {
		return err
	}
	config, err := s.genericConfig(scheme, codecs)
	if err != nil {
		return err
	}
	s.generic, err = config.Complete(nil).New("cox", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return fmt.Errorf("building the API server: %w", err)
	}
	s.generic.ShutdownTimeout = shutdownGrace
	if err := s.install(config, scheme, codecs, served); err != nil {
		return err
	}
	serveOpenAPI(s.generic, config)
	return s.serveIssuer()
}

// Run serves until ctx ends, and then lets open requests finish for a moment.
// It is called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.stores.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, func() { close(s.stopping) })
	if err := s.generic.AddPostStartHook("bootstrap", func(hook genericapiserver.PostStartHookContext) error {
		if err := s.bootstrap(hook); err != nil {
			// Returned, the error would end the process without a word.
			cancel(fmt.Errorf("preparing the API: %w", err))
			return nil
		}
		go s.aggregate(ctx, cancel)
		close(s.ready)
		return nil
	}); err != nil {
		return err
	}
	prepared := s.generic.PrepareRun()
	s.inProcess.Set(s.generic.Handler)
	if err := prepared.RunWithContext(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != context.Canceled && cause != context.DeadlineExceeded {
		return cause
	}
	return nil
}

// aggregate keeps aggregating roles up to date.
func (s *Server) aggregate(ctx context.Context, fail context.CancelCauseFunc) {
	aggregator := rbac.Aggregator{Roles: s.client.RbacV1().ClusterRoles(), Informer: s.informers.Rbac().V1().ClusterRoles(), Logger: s.config.Logger}
	if err := aggregator.Run(ctx); err != nil {
		fail(fmt.Errorf("aggregating roles: %w", err))
	}
}

// Ready is closed when requests are answered, and all that every installation
// starts with is there.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is the address of the first --listen, with the port that is really
// used.
func (s *Server) Addr() net.Addr { return s.sockets.Addr() }
