package apiserver

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"coxswain.dev/cox/internal/apiserver/inprocess"
	"coxswain.dev/cox/internal/apiserver/pki"
	"coxswain.dev/cox/internal/registry"
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
	generic   *genericapiserver.GenericAPIServer
	ready     chan struct{}
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
	s := &Server{config: config, authority: authority, inProcess: &inprocess.Handler{}, sockets: sockets, ready: make(chan struct{})}
	if err := s.build(); err != nil {
		sockets.Close()
		if s.stores != nil {
			s.stores.close()
		}
		return nil, err
	}
	return s, nil
}

// build assembles the generic server.
func (s *Server) build() error {
	served := kinds()
	scheme, err := NewScheme(served)
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
	return s.install(scheme, codecs, served)
}

func (s *Server) genericConfig(scheme *runtime.Scheme, codecs serializer.CodecFactory) (*genericapiserver.Config, error) {
	config := genericapiserver.NewConfig(codecs)
	var err error
	if config.SecureServing, err = serving(s.authority, s.config, s.sockets); err != nil {
		return nil, err
	}
	if config.Authentication.Authenticator, err = authentication(s.authority); err != nil {
		return nil, err
	}
	config.Authorization.Authorizer = authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)
	config.LoopbackClientConfig = inProcessConfig(s.inProcess, user.APIServerUser, user.SystemPrivilegedGroup)
	config.EffectiveVersion = newEffectiveVersion(s.config.Version)
	config.RESTOptionsGetter = s.stores
	config.ExternalAddress = s.sockets.Addr().String()
	config.ShutdownWatchTerminationGracePeriod = watchGrace
	// The watermark metrics of the in-flight limits would wake the process
	// every second, and the object counts every minute; nobody reads them.
	config.DisabledPostStartHooks.Insert("max-in-flight-filter")
	config.StorageObjectCountTracker = nil
	config.EnableProfiling = false
	setOpenAPI(config, scheme)
	return config, nil
}

// install puts the resources below /api and /apis.
func (s *Server) install(scheme *runtime.Scheme, codecs serializer.CodecFactory, served []registry.Builder) error {
	groups := map[string]*genericapiserver.APIGroupInfo{}
	for _, kind := range served {
		version := kind.GroupVersion()
		group, ok := groups[version.Group]
		if !ok {
			info := genericapiserver.NewDefaultAPIGroupInfo(version.Group, scheme, runtime.NewParameterCodec(scheme), codecs)
			group = &info
			groups[version.Group] = group
		}
		storages, err := kind.Build(scheme, s.stores)
		if err != nil {
			return err
		}
		addStorages(group, version, storages)
	}
	if core, ok := groups[""]; ok {
		if err := s.generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, core); err != nil {
			return fmt.Errorf("serving the core group: %w", err)
		}
		delete(groups, "")
	}
	for _, name := range groupOrder(groups) {
		if err := s.generic.InstallAPIGroup(groups[name]); err != nil {
			return fmt.Errorf("serving the group %s: %w", name, err)
		}
	}
	return nil
}

func addStorages(group *genericapiserver.APIGroupInfo, version schema.GroupVersion, storages map[string]rest.Storage) {
	resources := group.VersionedResourcesStorageMap[version.Version]
	if resources == nil {
		resources = map[string]rest.Storage{}
		group.VersionedResourcesStorageMap[version.Version] = resources
	}
	for path, storage := range storages {
		resources[path] = storage
	}
}

// Run serves until ctx ends, and then lets open requests finish for a moment.
func (s *Server) Run(ctx context.Context) error {
	defer s.stores.close()
	if err := s.generic.AddPostStartHook("ready", func(hook genericapiserver.PostStartHookContext) error {
		close(s.ready)
		return nil
	}); err != nil {
		return err
	}
	prepared := s.generic.PrepareRun()
	s.inProcess.Set(s.generic.Handler)
	return prepared.RunWithContext(ctx)
}

// Ready is closed when requests are answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is the address of the first --listen, with the port that is really
// used.
func (s *Server) Addr() net.Addr { return s.sockets.Addr() }
