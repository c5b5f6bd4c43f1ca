package core

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
)

func newPodProxy(store *genericregistry.Store, deps Dependencies) *proxyStorage {
	return &proxyStorage{
		options:   func() runtime.Object { return &corev1.PodProxyOptions{} },
		transport: toPods(deps.DialPods), stopping: deps.Stopping,
		locate: func(ctx context.Context, name string) (*url.URL, error) {
			return podLocation(ctx, store, name)
		},
	}
}

// podLocation is where requests to a Pod go: to the port that is asked for, or
// the first that a container names.
func podLocation(ctx context.Context, store *genericregistry.Store, asked string) (*url.URL, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(asked)
	if !valid {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid pod request %q", asked))
	}
	obj, err := store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pod := obj.(*corev1.Pod)
	if port == "" {
		port = firstPort(pod)
	}
	address := podAddress(pod)
	if !isProxied(address) {
		return nil, errNotProxied
	}
	location := &url.URL{Scheme: scheme, Host: address}
	switch {
	case port != "":
		location.Host = net.JoinHostPort(address, port)
	case strings.Contains(address, ":"):
		location.Host = "[" + address + "]"
	}
	return location, nil
}

// firstPort is the first port that a container of the Pod names, empty where
// none does.
func firstPort(pod *corev1.Pod) string {
	for _, container := range pod.Spec.Containers {
		if len(container.Ports) > 0 {
			return strconv.Itoa(int(container.Ports[0].ContainerPort))
		}
	}
	return ""
}

// podAddress is the Pod's first address, empty while it has none.
func podAddress(pod *corev1.Pod) string {
	if len(pod.Status.PodIPs) == 0 {
		return ""
	}
	return pod.Status.PodIPs[0].IP
}
