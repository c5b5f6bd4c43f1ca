package proxy

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/routing"
)

// owner names an object of the API that has rules: a Service or a Pod.
type owner struct{ kind, key string }

const (
	kindService = "Service"
	kindPod     = "Pod"
)

// sources are the informers that rules come from.
type sources struct {
	node                   string
	services, slices, pods cache.SharedIndexInformer
	policies, namespaces   cache.SharedIndexInformer
}

// byService is an index of EndpointSlices by the key of their Service.
const byService = "coxswain.dev/proxy-service"

func (s *sources) init(factory informers.SharedInformerFactory, node string) error {
	s.node = node
	s.services = factory.Core().V1().Services().Informer()
	s.slices = factory.Discovery().V1().EndpointSlices().Informer()
	s.pods = factory.Core().V1().Pods().Informer()
	s.policies = factory.Networking().V1().NetworkPolicies().Informer()
	s.namespaces = factory.Core().V1().Namespaces().Informer()
	return s.slices.AddIndexers(cache.Indexers{byService: func(object any) ([]string, error) {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
			if key := serviceOf(slice); key != "" {
				return []string{key}, nil
			}
		}
		return nil, nil
	}})
}

// strip drops what rules are not made of before an informer keeps an object.
func strip(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		o.ManagedFields, o.Annotations, o.OwnerReferences = nil, nil, nil
		o.Spec = corev1.PodSpec{
			NodeName: o.Spec.NodeName, HostNetwork: o.Spec.HostNetwork,
			InitContainers: portsOnly(o.Spec.InitContainers), Containers: portsOnly(o.Spec.Containers),
		}
		o.Status = corev1.PodStatus{Phase: o.Status.Phase, PodIP: o.Status.PodIP}
	case *corev1.Service:
		o.ManagedFields, o.Annotations = nil, nil
	case *discoveryv1.EndpointSlice:
		o.ManagedFields, o.Annotations = nil, nil
	}
	return object, nil
}

func portsOnly(containers []corev1.Container) []corev1.Container {
	var kept []corev1.Container
	for _, container := range containers {
		if len(container.Ports) > 0 {
			kept = append(kept, corev1.Container{Ports: container.Ports})
		}
	}
	return kept
}

// serviceOf is the key of the Service that a slice belongs to, or "".
func serviceOf(slice *discoveryv1.EndpointSlice) string {
	if name := slice.Labels[discoveryv1.LabelServiceName]; name != "" {
		return slice.Namespace + "/" + name
	}
	return ""
}

// registrations are our handlers on informers that others may use longer.
type registrations struct {
	remove func()
	synced []cache.InformerSynced
}

// subscribe calls mark for every owner that an event may concern, and before
// that note with the revision of an EndpointSlice.
func (s *sources) subscribe(mark func(owner), note func(revision string)) (*registrations, error) {
	r := &registrations{}
	var removals []func() error
	r.remove = func() {
		for _, remove := range removals {
			// The only error is that of an informer that has stopped.
			_ = remove()
		}
	}
	for _, source := range []struct {
		informer cache.SharedIndexInformer
		owner    func(object any) (owner, bool)
	}{
		{s.services, func(o any) (owner, bool) { return ownerOf(kindService, o) }},
		{s.slices, func(o any) (owner, bool) {
			slice, ok := o.(*discoveryv1.EndpointSlice)
			if !ok || serviceOf(slice) == "" {
				return owner{}, false
			}
			note(slice.ResourceVersion)
			return owner{kindService, serviceOf(slice)}, true
		}},
		{s.pods, func(o any) (owner, bool) {
			pod, ok := o.(*corev1.Pod)
			if !ok || !hasHostPorts(pod) {
				return owner{}, false
			}
			return ownerOf(kindPod, o)
		}},
	} {
		tell := func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if o, ok := source.owner(object); ok {
				mark(o)
			}
		}
		registration, err := source.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell,
			// The old object may have belonged to another Service.
			UpdateFunc: func(old, new any) { tell(old); tell(new) },
			DeleteFunc: tell,
		})
		if err != nil {
			r.remove()
			return nil, fmt.Errorf("listening to changes: %w", err)
		}
		removals = append(removals, func() error { return source.informer.RemoveEventHandler(registration) })
		r.synced = append(r.synced, registration.HasSynced)
	}
	synced, more, err := s.subscribePolicies(mark)
	removals = append(removals, more...)
	if err != nil {
		r.remove()
		return nil, fmt.Errorf("listening to changes of policies: %w", err)
	}
	r.synced = append(r.synced, synced...)
	return r, nil
}

func ownerOf(kind string, object any) (owner, bool) {
	key, err := cache.MetaNamespaceKeyFunc(object)
	return owner{kind, key}, err == nil
}

func hasHostPorts(pod *corev1.Pod) bool {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range containers {
			for _, port := range container.Ports {
				if port.HostPort > 0 {
					return true
				}
			}
		}
	}
	return false
}

// view is what follows from one owner as the API shows it.
type view struct {
	// exists is false for a Service that is gone.
	exists bool
	rules  routing.Rules
	// terminating are those of a Service's Pods.
	terminating map[types.UID]bool
}

// look asks the core about one owner. One that is gone has no rules.
func (s *sources) look(o owner) (routing.Owner, view) {
	who := routing.Owner{Kind: o.kind, Name: o.key}
	switch o.kind {
	case kindService:
		object, exists, err := s.services.GetStore().GetByKey(o.key)
		if err != nil || !exists {
			return who, view{}
		}
		service, slices := object.(*corev1.Service), s.slicesOf(o.key)
		who.Created = service.CreationTimestamp.UnixNano()
		return who, view{
			exists: true, terminating: routing.Terminating(slices),
			rules: routing.Decide(routing.Snapshot{Service: service, Slices: slices, Node: s.node}),
		}
	case kindPod:
		object, exists, err := s.pods.GetStore().GetByKey(o.key)
		if err != nil || !exists {
			return who, view{}
		}
		pod := object.(*corev1.Pod)
		who.Created = pod.CreationTimestamp.UnixNano()
		if pod.Spec.NodeName != s.node {
			return who, view{}
		}
		return who, view{exists: true, rules: routing.HostPorts(pod)}
	}
	panic(errors.New("proxy: rules of unknown kind " + o.kind))
}

func (s *sources) slicesOf(service string) []*discoveryv1.EndpointSlice {
	objects, err := s.slices.GetIndexer().ByIndex(byService, service)
	if err != nil {
		// Only an index that does not exist gives an error.
		panic(err)
	}
	found := make([]*discoveryv1.EndpointSlice, 0, len(objects))
	for _, object := range objects {
		found = append(found, object.(*discoveryv1.EndpointSlice))
	}
	return found
}
