package core

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"coxswain.dev/cox/internal/routing"
	"coxswain.dev/cox/internal/usage"
)

// nodeProxyStorage serves nodes/proxy: what a node's agent tells about itself.
type nodeProxyStorage struct {
	store *genericregistry.Store
	nodes NodeDialer
}

var (
	_ rest.Connecter       = &nodeProxyStorage{}
	_ rest.StorageMetadata = &nodeProxyStorage{}
)

func (s *nodeProxyStorage) New() runtime.Object               { return &corev1.NodeProxyOptions{} }
func (s *nodeProxyStorage) Destroy()                          {}
func (s *nodeProxyStorage) ConnectMethods() []string          { return []string{http.MethodGet} }
func (s *nodeProxyStorage) ProducesMIMETypes(string) []string { return []string{"*/*"} }
func (s *nodeProxyStorage) ProducesObject(string) any         { return "" }
func (s *nodeProxyStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.NodeProxyOptions{}, true, "path"
}

// ofNode are the agent's paths that tell about the node. Those that go to Pods
// have rights of their own (pods/exec …), which "get nodes/proxy" must not be a
// way around: no path is served that is not known to be none of them.
var ofNode = []string{"/healthz", routing.ConnectionsPath, usage.Path}

// Connect returns the handler of one request.
func (s *nodeProxyStorage) Connect(ctx context.Context, name string, options runtime.Object, _ rest.Responder) (http.Handler, error) {
	opts, ok := options.(*corev1.NodeProxyOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", options)
	}
	if _, err := s.store.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	target := path.Clean("/" + opts.Path)
	if !slices.Contains(ofNode, target) {
		return nil, apierrors.NewForbidden(corev1.Resource("nodes/proxy"), name,
			fmt.Errorf("%s is not served, %s are: what goes to Pods is asked for at the Pod (pods/exec, pods/attach, pods/portforward, pods/log)", target, strings.Join(ofNode, ", ")))
	}
	agent, err := agentOf(s.nodes, name)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Clone(r.Context())
		request.URL, request.RequestURI = &url.URL{Path: target, RawQuery: r.URL.RawQuery}, ""
		agent.ServeHTTP(w, request)
	}), nil
}
