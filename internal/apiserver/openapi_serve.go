package apiserver

import (
	"net/http"
	"sync"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
)

// documentLife is how long an OpenAPI document stays in memory after it was
// last asked for. Building one takes a fraction of a second, keeping both takes
// more memory than all objects of a small installation.
const documentLife = 2 * time.Minute

// serveOpenAPI answers /openapi/v2 and /openapi/v3 with documents that are
// built when somebody asks, and dropped when nobody has for a while.
func serveOpenAPI(generic *genericapiserver.GenericAPIServer, config *genericapiserver.Config) {
	container := generic.Handler.GoRestfulContainer
	v2 := &temporary{life: documentLife, build: func() http.Handler {
		built := mux.NewPathRecorderMux("openapi/v2")
		routes.OpenAPI{Config: config.OpenAPIConfig}.InstallV2(container, built)
		return built
	}}
	v3 := &temporary{life: documentLife, build: func() http.Handler {
		built := mux.NewPathRecorderMux("openapi/v3")
		routes.OpenAPI{V3Config: config.OpenAPIV3Config}.InstallV3(container, built)
		return built
	}}
	paths := generic.Handler.NonGoRestfulMux
	paths.Handle("/openapi/v2", v2)
	paths.Handle("/openapi/v3", v3)
	paths.HandlePrefix("/openapi/v3/", v3)
}

// temporary is a handler that exists while it is in use.
type temporary struct {
	build func() http.Handler
	life  time.Duration

	mu      sync.Mutex
	built   http.Handler
	removal *time.Timer
}

// ServeHTTP implements http.Handler.
func (t *temporary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.current().ServeHTTP(w, r)
}

func (t *temporary) current() http.Handler {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.built == nil {
		t.built = t.build()
		t.removal = time.AfterFunc(t.life, t.drop)
	}
	t.removal.Reset(t.life)
	return t.built
}

func (t *temporary) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.built = nil
}
