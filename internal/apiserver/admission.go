package apiserver

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	utilfeature "k8s.io/apiserver/pkg/util/feature"

	coxadmission "coxswain.dev/cox/internal/admission"
)

// admissionChain is what may change or refuse an object before it is stored,
// in the order in which it does. Plugins stop their work when drained is closed.
func (s *Server) admissionChain(drained <-chan struct{}) (admission.Interface, error) {
	namespaces, err := lifecycle.NewLifecycle(sets.New(metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic))
	if err != nil {
		return nil, fmt.Errorf("the admission of namespaces: %w", err)
	}
	plugins := []admission.Interface{namespaces}
	initialize := initializer.New(s.client, nil, s.informers, s.authorizer, utilfeature.DefaultFeatureGate, nil, nil, nil)
	for _, plugin := range plugins {
		initialize.Initialize(plugin)
		if validator, ok := plugin.(admission.InitializationValidator); ok {
			if err := validator.ValidateInitialization(); err != nil {
				return nil, fmt.Errorf("the admission plugin %T: %w", plugin, err)
			}
		}
	}
	others, err := coxadmission.Plugins(coxadmission.Dependencies{Client: s.client, Informers: s.informers, Stopped: drained})
	if err != nil {
		return nil, err
	}
	return admission.NewChainHandler(append(plugins, others...)...), nil
}
