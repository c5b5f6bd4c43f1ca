package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
)

const (
	defaultAccount = "default"
	// A new namespace gets its default service account a moment after it was
	// made: so long a Pod waits for it.
	defaultAccountWait = 1500 * time.Millisecond
	defaultAccountPoll = 20 * time.Millisecond
)

// serviceAccount gives Pods the identity of a service account: its name, its
// pull secrets and a mounted token.
type serviceAccount struct {
	*admission.Handler
	accounts corelisters.ServiceAccountLister
	client   kubernetes.Interface
}

var _ admission.MutationInterface = &serviceAccount{}

func newServiceAccount(deps Dependencies) admission.Interface {
	informer := deps.Informers.Core().V1().ServiceAccounts()
	plugin := &serviceAccount{Handler: admission.NewHandler(admission.Create), accounts: informer.Lister(), client: deps.Client}
	plugin.SetReadyFunc(informer.Informer().HasSynced)
	return plugin
}

// Admit implements admission.MutationInterface.
func (s *serviceAccount) Admit(ctx context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(attributes)
	if pod == nil {
		return nil
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return forbid(attributes, validateMirror(pod))
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = defaultAccount
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := s.get(ctx, attributes.GetNamespace(), pod.Spec.ServiceAccountName)
	if err != nil {
		return admission.NewForbidden(attributes, fmt.Errorf("error looking up service account %s/%s: %w", attributes.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	if mounts(account, pod) {
		mountToken(pod)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = append([]corev1.LocalObjectReference(nil), account.ImagePullSecrets...)
	}
	return nil
}

func forbid(attributes admission.Attributes, err error) error {
	if err == nil {
		return nil
	}
	return admission.NewForbidden(attributes, err)
}

// validateMirror keeps what a node runs by itself away from what the API
// holds: nobody could revoke it.
func validateMirror(pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return errors.New("a mirror pod may not reference service accounts")
	}
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.Secret != nil:
			return errors.New("a mirror pod may not reference secrets")
		case volume.ConfigMap != nil:
			return errors.New("a mirror pod may not reference configmaps")
		}
	}
	return nil
}

// get looks into the cache, and then asks the API.
func (s *serviceAccount) get(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	account, err := s.accounts.ServiceAccounts(namespace).Get(name)
	if !apierrors.IsNotFound(err) {
		return account, err
	}
	account, err = s.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return account, err
	}
	missing := apierrors.NewNotFound(corev1.Resource("serviceaccount"), name)
	if name != defaultAccount {
		return nil, missing
	}
	ctx, cancel := context.WithTimeout(ctx, defaultAccountWait)
	defer cancel()
	ticker := time.NewTicker(defaultAccountPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, missing
		case <-ticker.C:
			if account, err := s.accounts.ServiceAccounts(namespace).Get(name); err == nil {
				return account, nil
			}
		}
	}
}
