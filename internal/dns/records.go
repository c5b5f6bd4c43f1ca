package dns

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// records finds objects in informers' memory.
type records struct {
	services, slices cache.Indexer
	synced           []cache.InformerSynced
	changes          changes
}

// Indexes that we add to the informers.
const (
	byClusterIP = "coxswain.dev/dns-cluster-ip"
	byService   = "coxswain.dev/dns-service"
	byAddress   = "coxswain.dev/dns-address"
	byNamespace = "coxswain.dev/dns-namespace"
)

func newRecords(factory informers.SharedInformerFactory) (*records, error) {
	services := factory.Core().V1().Services().Informer()
	endpoints := factory.Discovery().V1().EndpointSlices().Informer()
	if err := services.AddIndexers(cache.Indexers{
		byClusterIP: func(o any) ([]string, error) {
			if service, ok := o.(*corev1.Service); ok && clusterAddr(service).IsValid() {
				return []string{clusterAddr(service).String()}, nil
			}
			return nil, nil
		},
		byNamespace: cache.MetaNamespaceIndexFunc,
	}); err != nil {
		return nil, err
	}
	if err := endpoints.AddIndexers(cache.Indexers{byService: indexSliceByService, byAddress: indexSliceByAddress}); err != nil {
		return nil, err
	}
	r := &records{
		services: services.GetIndexer(), slices: endpoints.GetIndexer(),
		synced: []cache.InformerSynced{services.HasSynced, endpoints.HasSynced},
	}
	r.changes.next = make(chan struct{})
	for _, informer := range []cache.SharedIndexInformer{services, endpoints} {
		// The indexes have changed when a handler is told so.
		if _, err := informer.AddEventHandler(r.changes.handler()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func indexSliceByService(o any) ([]string, error) {
	slice, ok := o.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

func indexSliceByAddress(o any) ([]string, error) {
	slice, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, nil
	}
	var addrs []string
	for _, endpoint := range slice.Endpoints {
		addrs = append(addrs, endpoint.Addresses...)
	}
	return addrs, nil
}

// clusterAddr is the IPv4 address of a Service, invalid if it has none.
func clusterAddr(service *corev1.Service) netip.Addr {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return netip.Addr{}
	}
	for _, text := range append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...) {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() {
			return addr
		}
	}
	return netip.Addr{}
}

func (r *records) hasNamespace(namespace string) bool {
	keys, err := r.services.IndexKeys(byNamespace, namespace)
	return err == nil && len(keys) > 0
}

func (r *records) service(namespace, name string) (service, bool) {
	object, exists, err := r.services.GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return service{}, false
	}
	found := object.(*corev1.Service)
	if found.Spec.Type == corev1.ServiceTypeExternalName {
		return service{externalName: found.Spec.ExternalName}, true
	}
	s := service{addr: clusterAddr(found)}
	if s.addr.IsValid() {
		for _, p := range found.Spec.Ports {
			s.ports = append(s.ports, port{p.Name, protocolName(p.Protocol), uint16(p.Port)})
		}
		return s, true
	}
	s.endpoints = r.hosts(namespace, name)
	// Clients often take the first, so each gets another one.
	rand.Shuffle(len(s.endpoints), func(i, j int) { s.endpoints[i], s.endpoints[j] = s.endpoints[j], s.endpoints[i] })
	return s, true
}

// hosts are the ready endpoints of a Service. Those of one that publishes
// addresses that are not ready are all marked as ready.
func (r *records) hosts(namespace, name string) []host {
	objects, err := r.slices.ByIndex(byService, namespace+"/"+name)
	if err != nil {
		return nil
	}
	var hosts []host
	for _, object := range objects {
		slice := object.(*discoveryv1.EndpointSlice)
		if slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		ports := slicePorts(slice)
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			if !isReady(endpoint) {
				continue
			}
			for _, text := range endpoint.Addresses {
				if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() {
					hosts = append(hosts, host{hostName(endpoint, addr), addr, ports})
				}
			}
		}
	}
	return hosts
}

func isReady(endpoint *discoveryv1.Endpoint) bool {
	return endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
}

func slicePorts(slice *discoveryv1.EndpointSlice) []port {
	var ports []port
	for _, p := range slice.Ports {
		if p.Port == nil {
			continue
		}
		one := port{number: uint16(*p.Port), protocol: "tcp"}
		if p.Name != nil {
			one.name = *p.Name
		}
		if p.Protocol != nil {
			one.protocol = protocolName(*p.Protocol)
		}
		ports = append(ports, one)
	}
	return ports
}

func hostName(endpoint *discoveryv1.Endpoint, addr netip.Addr) string {
	if endpoint.Hostname != nil && *endpoint.Hostname != "" {
		return *endpoint.Hostname
	}
	return strings.ReplaceAll(addr.String(), ".", "-")
}

func protocolName(p corev1.Protocol) string { return strings.ToLower(string(p)) }

func (r *records) named(addr netip.Addr) (names []string, fleeting bool) {
	if services, err := r.services.ByIndex(byClusterIP, addr.String()); err == nil && len(services) > 0 {
		service := services[0].(*corev1.Service)
		return []string{service.Name + "." + service.Namespace}, false
	}
	for endpoint, service := range r.endpointsAt(addr) {
		if service.Spec.ClusterIP != corev1.ClusterIPNone || !isReady(endpoint) {
			continue
		}
		if name := hostName(endpoint, addr) + "." + service.Name + "." + service.Namespace; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, true
}

// endpointsAt are the endpoints of Services with an address, ready or not.
func (r *records) endpointsAt(addr netip.Addr) iter.Seq2[*discoveryv1.Endpoint, *corev1.Service] {
	return func(yield func(*discoveryv1.Endpoint, *corev1.Service) bool) {
		objects, err := r.slices.ByIndex(byAddress, addr.String())
		if err != nil {
			return // an index that is there gives no error
		}
		for _, object := range objects {
			slice := object.(*discoveryv1.EndpointSlice)
			service, exists, err := r.services.GetByKey(slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName])
			if err != nil || !exists {
				continue
			}
			for i := range slice.Endpoints {
				endpoint := &slice.Endpoints[i]
				if slices.Contains(endpoint.Addresses, addr.String()) && !yield(endpoint, service.(*corev1.Service)) {
					return
				}
			}
		}
	}
}
