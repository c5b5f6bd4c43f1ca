package core

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// logStorage serves pods/log: what a container printed, from its node.
type logStorage struct {
	store    *genericregistry.Store
	nodes    NodeDialer
	stopping <-chan struct{}
}

var (
	_ rest.Connecter       = &logStorage{}
	_ rest.StorageMetadata = &logStorage{}
)

func (s *logStorage) New() runtime.Object               { return &corev1.Pod{} }
func (s *logStorage) Destroy()                          {}
func (s *logStorage) ConnectMethods() []string          { return []string{http.MethodGet} }
func (s *logStorage) ProducesMIMETypes(string) []string { return []string{"text/plain"} }
func (s *logStorage) ProducesObject(string) any         { return "" }
func (s *logStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodLogOptions{}, false, ""
}

// Connect returns the handler of one request.
func (s *logStorage) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := options.(*corev1.PodLogOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", options)
	}
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pod := obj.(*corev1.Pod)
	container, err := containerOf(pod, opts.Container)
	if err != nil {
		return nil, err
	}
	if pod.Spec.NodeName == "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	node, err := agentOf(s.nodes, pod.Spec.NodeName)
	if err != nil {
		return nil, err
	}
	target := &url.URL{
		Path:     fmt.Sprintf("/containerLogs/%s/%s/%s", pod.Namespace, pod.Name, container),
		RawQuery: logQuery(opts).Encode(),
	}
	return untilEnd(s.stopping, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wsstream.IsWebSocketRequest(r) {
			logOverWebSocket(w, r, node, target)
			return
		}
		request := r.Clone(r.Context())
		request.Method, request.URL, request.RequestURI, request.Body = http.MethodGet, target, "", io.NopCloser(http.NoBody)
		node.ServeHTTP(w, request)
	})), nil
}

// containerOf is the container that is meant: the only one where none is named.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	var all []string
	for _, container := range pod.Spec.Containers {
		all = append(all, container.Name)
	}
	var others []string
	for _, container := range pod.Spec.InitContainers {
		others = append(others, container.Name)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		others = append(others, container.Name)
	}
	if name == "" {
		if len(all) == 1 && len(others) == 0 {
			return all[0], nil
		}
		message := fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, all)
		if len(others) > 0 {
			message += fmt.Sprintf(" or one of the init containers: %v", others)
		}
		return "", apierrors.NewBadRequest(message)
	}
	for _, one := range append(all, others...) {
		if one == name {
			return name, nil
		}
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}

// logQuery is PodLogOptions as the agent understands them.
func logQuery(opts *corev1.PodLogOptions) url.Values {
	query := url.Values{}
	for name, on := range map[string]bool{"follow": opts.Follow, "previous": opts.Previous, "timestamps": opts.Timestamps} {
		if on {
			query.Set(name, "true")
		}
	}
	for name, value := range map[string]*int64{"sinceSeconds": opts.SinceSeconds, "tailLines": opts.TailLines, "limitBytes": opts.LimitBytes} {
		if value != nil {
			query.Set(name, strconv.FormatInt(*value, 10))
		}
	}
	if opts.SinceTime != nil {
		query.Set("sinceTime", opts.SinceTime.Format(time.RFC3339Nano))
	}
	if opts.Stream != nil {
		query.Set("stream", *opts.Stream)
	}
	return query
}
