package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// rootCAConfigMap holds the certificate by which Pods know the API server.
const (
	rootCAConfigMap       = "kube-root-ca.crt"
	rootCAKey             = "ca.crt"
	rootCADescription     = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
	descriptionKey        = "kubernetes.io/description"
	defaultServiceAccount = "default"
)

// namespaceContents gives every namespace what Pods in it rely on: the default
// ServiceAccount, and the certificate of the API server.
type namespaceContents struct {
	*base
	*loop
	namespaces, accounts, maps cache.SharedIndexInformer
}

func newNamespaceContents(b *base) (*loop, error) {
	c := &namespaceContents{
		base: b, loop: newLoop("namespace-contents", 2, b.log),
		namespaces: b.Core().V1().Namespaces().Informer(),
		accounts:   b.Core().V1().ServiceAccounts().Informer(),
		maps:       b.Core().V1().ConfigMaps().Informer(),
	}
	c.loop.reconcile = c.reconcile
	if err := onAny(c.namespaces, func(n *corev1.Namespace) { c.queue.Add(key{Name: n.Name}) }); err != nil {
		return nil, err
	}
	if err := onAny(c.accounts, func(a *corev1.ServiceAccount) {
		if a.Name == defaultServiceAccount {
			c.queue.Add(key{Name: a.Namespace})
		}
	}); err != nil {
		return nil, err
	}
	return c.loop, onAny(c.maps, func(m *corev1.ConfigMap) {
		if m.Name == rootCAConfigMap {
			c.queue.Add(key{Name: m.Namespace})
		}
	})
}

func (c *namespaceContents) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.namespaces.GetStore().GetByKey(k.Name)
	if err != nil || !exists || item.(*corev1.Namespace).Status.Phase == corev1.NamespaceTerminating {
		return time.Time{}, err
	}
	if err := c.ensureAccount(ctx, k.Name); err != nil {
		return time.Time{}, ignoreTerminating(err)
	}
	return time.Time{}, ignoreTerminating(c.ensureCA(ctx, k.Name))
}

// ignoreTerminating takes the end of a namespace for success.
func ignoreTerminating(err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (c *namespaceContents) ensureAccount(ctx context.Context, namespace string) error {
	_, exists, err := c.accounts.GetStore().GetByKey(namespace + "/" + defaultServiceAccount)
	if err != nil || exists {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: defaultServiceAccount, Namespace: namespace}}
	_, err = c.client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (c *namespaceContents) ensureCA(ctx context.Context, namespace string) error {
	data := map[string]string{rootCAKey: string(c.config.ClusterCA)}
	item, exists, err := c.maps.GetStore().GetByKey(namespace + "/" + rootCAConfigMap)
	if err != nil {
		return err
	}
	if !exists {
		made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: rootCAConfigMap, Namespace: namespace, Annotations: map[string]string{descriptionKey: rootCADescription},
		}, Data: data}
		_, err := c.client.CoreV1().ConfigMaps(namespace).Create(ctx, made, metav1.CreateOptions{})
		return err
	}
	if equality.Semantic.DeepEqual(item.(*corev1.ConfigMap).Data, data) {
		return nil
	}
	changed := item.(*corev1.ConfigMap).DeepCopy()
	changed.Data = data
	_, err = c.client.CoreV1().ConfigMaps(namespace).Update(ctx, changed, metav1.UpdateOptions{})
	return err
}
