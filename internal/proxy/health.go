package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// healthPorts answer load balancers that ask, on a Service's
// healthCheckNodePort, whether this machine has endpoints of it: 200 if so and
// 503 if not, with the same words as upstream's proxies.
type healthPorts struct {
	sources *sources
	log     *slog.Logger
	wake    chan string // keys of Services
	removal []func()
	cancel  context.CancelFunc
	running sync.WaitGroup
	// open are the listening ports by Service. Only run uses it.
	open map[string]*healthPort
}

// healthPort is one port that listens.
type healthPort struct {
	namespace, name string
	port            int32
	server          *http.Server

	mu    sync.Mutex
	count int
}

// A port that somebody else has is tried again after healthRetry.
const healthRetry = 5 * time.Second

// healthTimeout bounds a client that sends or reads slowly.
const healthTimeout = 10 * time.Second

// healthQueue is how many changed Services may wait; beyond it, informers do.
const healthQueue = 1024

// startHealthPorts answers until stop.
func (s *sources) startHealthPorts(log *slog.Logger) (*healthPorts, error) {
	h := &healthPorts{sources: s, log: log, wake: make(chan string, healthQueue), open: map[string]*healthPort{}}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	tell := func(key string) {
		select {
		case h.wake <- key:
		case <-ctx.Done():
		}
	}
	err := errors.Join(
		h.listen(s.services, func(object any) {
			if service, ok := object.(*corev1.Service); ok && service.Spec.HealthCheckNodePort != 0 {
				tell(service.Namespace + "/" + service.Name)
			}
		}),
		h.listen(s.slices, func(object any) {
			if slice, ok := object.(*discoveryv1.EndpointSlice); ok && serviceOf(slice) != "" {
				tell(serviceOf(slice))
			}
		}))
	h.running.Go(func() { h.run(ctx) })
	if err != nil {
		h.stop()
		return nil, fmt.Errorf("listening to changes for health checks: %w", err)
	}
	return h, nil
}

// listen calls tell with every object that an event is about, old and new.
func (h *healthPorts) listen(informer cache.SharedIndexInformer, tell func(any)) error {
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    tell,
		UpdateFunc: func(old, new any) { tell(old); tell(new) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			tell(object)
		},
	})
	if err != nil {
		return err
	}
	h.removal = append(h.removal, func() { _ = informer.RemoveEventHandler(registration) }) // fails only if it has stopped
	return nil
}

func (h *healthPorts) stop() {
	h.cancel()
	for _, remove := range h.removal {
		remove()
	}
	h.running.Wait()
}

func (h *healthPorts) run(ctx context.Context) {
	defer func() {
		for key := range h.open {
			h.close(key)
		}
	}()
	refused := map[string]bool{}
	for {
		var retry <-chan time.Time
		if len(refused) > 0 {
			retry = time.After(healthRetry)
		}
		select {
		case <-ctx.Done():
			return
		case key := <-h.wake:
			h.look(key, refused)
		case <-retry:
			for key := range refused {
				h.look(key, refused)
			}
		}
	}
}

// look brings one Service's port to what the API says, and notes it in refused
// if somebody else has it.
func (h *healthPorts) look(key string, refused map[string]bool) {
	var port int32
	object, exists, err := h.sources.services.GetStore().GetByKey(key)
	if err == nil && exists {
		port = object.(*corev1.Service).Spec.HealthCheckNodePort
	}
	has := h.open[key]
	if has != nil && has.port != port {
		h.close(key)
		has = nil
	}
	if port == 0 {
		delete(refused, key)
		return
	}
	if has == nil {
		service := object.(*corev1.Service)
		has = &healthPort{namespace: service.Namespace, name: service.Name, port: port, count: h.count(key)}
		if err := has.serve(); err != nil {
			if !refused[key] {
				h.log.Warn("the port for health checks of a Service cannot be opened, trying again", "service", key, "port", port, "error", err)
			}
			refused[key] = true
			return
		}
		h.open[key] = has
	}
	delete(refused, key)
	has.set(h.count(key))
}

func (h *healthPorts) count(key string) int {
	return routing.LocalReady(h.sources.slicesOf(key), h.sources.node)
}

func (h *healthPorts) close(key string) {
	_ = h.open[key].server.Close() // who asks meanwhile is told by that
	delete(h.open, key)
}

func (p *healthPort) set(count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = count
}

// serve listens on all addresses of this machine.
func (p *healthPort) serve() error {
	listener, err := net.Listen("tcp4", net.JoinHostPort("", strconv.Itoa(int(p.port))))
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: p, ReadTimeout: healthTimeout, WriteTimeout: healthTimeout}
	go func() { _ = p.server.Serve(listener) }() // until close
	return nil
}

func (p *healthPort) ServeHTTP(answer http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	count := p.count
	p.mu.Unlock()
	header := answer.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(count))
	if count == 0 {
		answer.WriteHeader(http.StatusServiceUnavailable)
	}
	var body healthBody
	body.Service.Namespace, body.Service.Name = p.namespace, p.name
	body.LocalEndpoints, body.ServiceProxyHealthy = count, true
	encoder := json.NewEncoder(answer)
	encoder.SetIndent("", "\t")
	_ = encoder.Encode(body) // the client may be gone
}

// healthBody is what upstream's proxies answer.
type healthBody struct {
	Service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"service"`
	LocalEndpoints      int  `json:"localEndpoints"`
	ServiceProxyHealthy bool `json:"serviceProxyHealthy"`
}
