package ingress

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// secretWatch knows the Secrets that have certificates, while an Ingress asks
// for any.
type secretWatch struct {
	client kubernetes.Interface
	// changed is called when a Secret has changed, or all are known.
	changed func()

	informer cache.SharedIndexInformer
	stop     context.CancelFunc
}

// want starts or ends the watch.
func (s *secretWatch) want(ctx context.Context, wanted bool) error {
	if wanted == (s.informer != nil) {
		return nil
	}
	if !wanted {
		s.stop()
		s.informer = nil
		return nil
	}
	factory := informers.NewSharedInformerFactoryWithOptions(s.client, 0, informers.WithTransform(keepCertificate))
	informer := factory.Core().V1().Secrets().Informer()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { s.changed() }, UpdateFunc: func(any, any) { s.changed() }, DeleteFunc: func(any) { s.changed() },
	})
	if err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(ctx)
	factory.Start(ctx.Done())
	s.informer = informer
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			s.changed() // a Secret that is missing is known to be only now
		}
	}()
	return nil
}

// find implements secretSource.
func (s *secretWatch) find(namespace, name string) (*corev1.Secret, bool) {
	if s.informer == nil || !s.informer.HasSynced() {
		return nil, false
	}
	item, exists, err := s.informer.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil, true
	}
	return item.(*corev1.Secret), true
}

// keepCertificate drops all that is no certificate before a Secret is kept.
func keepCertificate(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return object, nil
	}
	secret.ManagedFields, secret.Annotations, secret.Labels, secret.OwnerReferences = nil, nil, nil, nil
	certificate, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	secret.Data = nil
	if certificate != nil || key != nil {
		secret.Data = map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}
	}
	return secret, nil
}
