package ingress

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// subscribe makes every change a reason to look: at everything, or, as Pods
// change often, only at who is behind the Services that Ingresses lead to.
func (f *Front) subscribe() (map[cache.SharedIndexInformer]cache.ResourceEventHandlerRegistration, error) {
	registrations := map[cache.SharedIndexInformer]cache.ResourceEventHandlerRegistration{}
	for informer, changed := range map[cache.SharedIndexInformer]func(object any){
		f.ingresses: func(any) { f.readAgain() },
		f.classes:   func(any) { f.readAgain() },
		f.services: func(object any) {
			if service, ok := object.(*corev1.Service); ok && f.leadsTo(service.Namespace, service.Name) {
				f.readAgain()
			}
		},
		f.slices: func(object any) {
			if slice, ok := object.(*discoveryv1.EndpointSlice); ok && f.leadsTo(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]) {
				f.look()
			}
		},
	} {
		tell := func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			changed(object)
		}
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell,
			// The old slice may have belonged to another Service.
			UpdateFunc: func(old, now any) { tell(old); tell(now) },
			DeleteFunc: tell,
		})
		if err != nil {
			return nil, err
		}
		registrations[informer] = registration
	}
	return registrations, nil
}

// leadsTo tells whether an Ingress has a Service as a backend.
func (f *Front) leadsTo(namespace, name string) bool {
	backends := f.backends.Load()
	return backends != nil && (*backends)[namespace+"/"+name]
}

// look makes Run look again.
func (f *Front) look() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Front) readAgain() {
	f.unread.Store(true)
	f.look()
}
