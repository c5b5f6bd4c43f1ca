package core

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/proxy"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	streamproxy "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// streamStorage serves pods/exec, pods/attach and pods/portforward: a stream
// to the Pod's node. Nodes speak SPDY, as kubelets do; a client's WebSocket is
// translated here.
type streamStorage struct {
	store   *genericregistry.Store
	deps    Dependencies
	options func() runtime.Object
}

var (
	_ rest.Connecter       = &streamStorage{}
	_ rest.StorageMetadata = &streamStorage{}
)

// streamStorages are the storages of all three, by subresource.
func streamStorages(store *genericregistry.Store, deps Dependencies) map[string]rest.Storage {
	return map[string]rest.Storage{
		"exec":        &streamStorage{store, deps, func() runtime.Object { return &corev1.PodExecOptions{} }},
		"attach":      &streamStorage{store, deps, func() runtime.Object { return &corev1.PodAttachOptions{} }},
		"portforward": &streamStorage{store, deps, func() runtime.Object { return &corev1.PodPortForwardOptions{} }},
	}
}

func (s *streamStorage) New() runtime.Object { return s.options() }
func (s *streamStorage) Destroy()            {}

// ConnectMethods are POST for SPDY and GET for WebSockets.
func (s *streamStorage) ConnectMethods() []string          { return []string{http.MethodGet, http.MethodPost} }
func (s *streamStorage) ProducesMIMETypes(string) []string { return []string{"*/*"} }
func (s *streamStorage) ProducesObject(string) any         { return "" }
func (s *streamStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return s.options(), false, ""
}

// Connect returns the handler of one stream.
func (s *streamStorage) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	if err := mayCreate(ctx, s.deps.Authorizer); err != nil {
		return nil, err
	}
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pod := obj.(*corev1.Pod)
	target, err := streamTarget(pod, options)
	if err != nil {
		return nil, err
	}
	if pod.Spec.NodeName == "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	agent, err := agentOf(s.deps.Nodes, pod.Spec.NodeName)
	if err != nil {
		return nil, err
	}
	target.Scheme, target.Host = "http", pod.Spec.NodeName
	return untilEnd(s.deps.Stopping, streamHandler(target, toAgent(agent), options, responder)), nil
}

// streamHandler leads a stream to a node, translated where that is needed.
func streamHandler(target *url.URL, node http.RoundTripper, options runtime.Object, responder rest.Responder) http.Handler {
	direct := proxy.NewUpgradeAwareHandler(target, node, false, true, proxy.NewErrorResponder(responder))
	var flows streamproxy.Options
	switch o := options.(type) {
	case *corev1.PodExecOptions:
		flows = streamproxy.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}
	case *corev1.PodAttachOptions:
		flows = streamproxy.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}
	default:
		tunnel := streamproxy.NewTunnelingHandler(direct)
		return streamproxy.NewTranslatingHandler(direct, tunnel, wsstream.IsWebSocketRequestWithTunnelingProtocol)
	}
	translator := streamproxy.NewStreamTranslatorHandler(target, node, 0, flows)
	return streamproxy.NewTranslatingHandler(direct, translator, wsstream.IsWebSocketRequestWithStreamCloseProtocol)
}

// streamTarget is the agent's path for a stream.
func streamTarget(pod *corev1.Pod, options runtime.Object) (*url.URL, error) {
	switch o := options.(type) {
	case *corev1.PodExecOptions:
		query := flowQuery(o.Stdin, o.Stdout, o.Stderr, o.TTY)
		query["command"] = o.Command
		return containerTarget("exec", pod, o.Container, query)
	case *corev1.PodAttachOptions:
		return containerTarget("attach", pod, o.Container, flowQuery(o.Stdin, o.Stdout, o.Stderr, o.TTY))
	case *corev1.PodPortForwardOptions:
		query := url.Values{}
		var ports []string
		for _, port := range o.Ports {
			ports = append(ports, strconv.Itoa(int(port)))
		}
		if len(ports) > 0 {
			query.Set(corev1.PortHeader, strings.Join(ports, ","))
		}
		return &url.URL{Path: fmt.Sprintf("/portForward/%s/%s", pod.Namespace, pod.Name), RawQuery: query.Encode()}, nil
	}
	return nil, fmt.Errorf("invalid options object: %#v", options)
}

func containerTarget(verb string, pod *corev1.Pod, name string, query url.Values) (*url.URL, error) {
	container, err := streamedContainer(pod, name)
	if err != nil {
		return nil, err
	}
	return &url.URL{Path: fmt.Sprintf("/%s/%s/%s/%s", verb, pod.Namespace, pod.Name, container), RawQuery: query.Encode()}, nil
}

// flowQuery says which streams there are, in the kubelet's words.
func flowQuery(stdin, stdout, stderr, tty bool) url.Values {
	query := url.Values{}
	for name, on := range map[string]bool{
		corev1.ExecStdinParam: stdin, corev1.ExecStdoutParam: stdout, corev1.ExecStderrParam: stderr, corev1.ExecTTYParam: tty,
	} {
		if on {
			query.Set(name, "1")
		}
	}
	return query
}

// streamedContainer is the container that is meant: where none is named, the
// only one that is neither an init nor an ephemeral container.
func streamedContainer(pod *corev1.Pod, name string) (string, error) {
	if name != "" {
		return containerOf(pod, name)
	}
	if len(pod.Spec.Containers) == 1 {
		return pod.Spec.Containers[0].Name, nil
	}
	var all []string
	for _, container := range pod.Spec.InitContainers {
		all = append(all, container.Name)
	}
	for _, container := range pod.Spec.Containers {
		all = append(all, container.Name)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		all = append(all, container.Name)
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s", pod.Name, all))
}
