package admission

import (
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

// Dependencies are what the plugins look up.
type Dependencies struct {
	// Client reads and writes as the API server itself.
	Client kubernetes.Interface
	// Informers are started by the caller, after Plugins has returned.
	Informers informers.SharedInformerFactory
	// Stopped is closed when no request is served any more.
	Stopped <-chan struct{}
}

// Plugins returns all plugins of this package in the order of upstream's
// chain. NamespaceLifecycle comes before them, webhooks between the last two.
func Plugins(deps Dependencies) ([]admission.Interface, error) {
	security, err := newPodSecurity(deps)
	if err != nil {
		return nil, err
	}
	quota, err := newResourceQuota(deps)
	if err != nil {
		return nil, err
	}
	return []admission.Interface{
		newLimitRanger(deps), newServiceAccount(deps), security,
		newPriority(), newDefaultTolerationSeconds(), newDefaultIngressClass(deps), quota,
	}, nil
}
