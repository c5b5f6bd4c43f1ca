package core

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	streamproxy "k8s.io/apiserver/pkg/util/proxy"
)

// storedPods looks at Pods from the storage of another kind.
type storedPods struct{ store *genericregistry.Store }

// serviceProxy finds the Pods that requests to services/proxy go to.
type serviceProxy struct {
	services *genericregistry.Store
	pods     *storedPods
	slices   func(ctx context.Context, namespace, service string) ([]*discoveryv1.EndpointSlice, error)
}

func newServiceProxy(store *genericregistry.Store, pods *storedPods, deps Dependencies) *proxyStorage {
	return &proxyStorage{
		options:   func() runtime.Object { return &corev1.ServiceProxyOptions{} },
		transport: toPods(deps.DialPods), stopping: deps.Stopping,
		locate: (&serviceProxy{store, pods, deps.EndpointSlices}).locate,
	}
}

// locate picks one of the Service's ready endpoints.
func (p *serviceProxy) locate(ctx context.Context, asked string) (*url.URL, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(asked)
	if !valid {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid service request %q", asked))
	}
	obj, err := p.services.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	service := obj.(*corev1.Service)
	if port, err = portName(service, port); err != nil {
		return nil, err
	}
	found, err := p.slices(ctx, service.Namespace, service.Name)
	if err != nil {
		return nil, err
	}
	family := corev1.IPFamilyUnknown
	if len(service.Spec.IPFamilies) > 0 {
		family = service.Spec.IPFamilies[0]
	}
	host, err := streamproxy.RandomEndpoint(service.Name, found, port, family, func(endpoint *discoveryv1.Endpoint) bool {
		return p.isOfPod(ctx, service.Namespace, endpoint)
	})
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: scheme, Host: host}, nil
}

// portName is the name of the port that is asked for by number or by name.
func portName(service *corev1.Service, asked string) (string, error) {
	number, err := strconv.ParseInt(asked, 10, 64)
	if err != nil {
		return asked, nil
	}
	for _, port := range service.Spec.Ports {
		if int64(port.Port) == number {
			return port.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, service.Name))
}

// isOfPod says whether an endpoint's address is that of the Pod it names. Who
// may write EndpointSlices must not be able to send the server anywhere.
func (p *serviceProxy) isOfPod(ctx context.Context, namespace string, endpoint *discoveryv1.Endpoint) bool {
	target := endpoint.TargetRef
	if target == nil || target.Kind != "Pod" || target.Namespace != namespace || len(endpoint.Addresses) == 0 || !isProxied(endpoint.Addresses[0]) {
		return false
	}
	obj, err := p.pods.store.Get(ctx, target.Name, &metav1.GetOptions{})
	return err == nil && slices.ContainsFunc(obj.(*corev1.Pod).Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == endpoint.Addresses[0] })
}
