package apiserver

import (
	"net/http"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"

	"coxswain.dev/cox/internal/apiserver/strict"
)

// genericConfig is the configuration of the library's server.
func (s *Server) genericConfig(scheme *runtime.Scheme, codecs serializer.CodecFactory) (*genericapiserver.Config, error) {
	config := genericapiserver.NewConfig(codecs)
	var err error
	if config.SecureServing, err = serving(s.authority, s.config, s.sockets); err != nil {
		return nil, err
	}
	if config.AdmissionControl, err = s.admissionChain(config.DrainedNotify()); err != nil {
		return nil, err
	}
	config.BuildHandlerChainFunc = func(handler http.Handler, config *genericapiserver.Config) http.Handler {
		typeOf := func(resource schema.GroupVersionResource) reflect.Type { return s.types[resource] }
		return genericapiserver.DefaultBuildHandlerChain(strict.WithWarnings(handler, typeOf), config)
	}
	config.AddHealthChecks(healthz.NamedCheck("etcd", s.stores.answers))
	config.Authentication.Authenticator = s.authenticator
	config.Authorization.Authorizer = s.authorizer
	config.RuleResolver = s.policy
	config.LoopbackClientConfig = s.loopback()
	config.EffectiveVersion = newEffectiveVersion(s.config.Version)
	config.RESTOptionsGetter = s.stores
	config.ExternalAddress = s.sockets.Addr().String()
	config.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "log", "portforward", "proxy"))
	config.ShutdownWatchTerminationGracePeriod = watchGrace
	// The watermark metrics of the in-flight limits would wake the process
	// every second, and the object counts every minute; nobody reads them.
	config.DisabledPostStartHooks.Insert("max-in-flight-filter")
	config.StorageObjectCountTracker = nil
	config.EnableProfiling = false
	setOpenAPI(config, scheme)
	return config, nil
}
