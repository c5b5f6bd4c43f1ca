package admission

import (
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	listers "k8s.io/client-go/listers/networking/v1"

	api "coxswain.dev/cox/internal/apis/networking"
)

// defaultIngressClass gives a new Ingress that names no class the class that
// is marked as the default.
type defaultIngressClass struct {
	*admission.Handler
	classes listers.IngressClassLister
}

var _ admission.MutationInterface = &defaultIngressClass{}

func newDefaultIngressClass(deps Dependencies) admission.Interface {
	informer := deps.Informers.Networking().V1().IngressClasses()
	plugin := &defaultIngressClass{Handler: admission.NewHandler(admission.Create), classes: informer.Lister()}
	plugin.SetReadyFunc(informer.Informer().HasSynced)
	return plugin
}

// Admit implements admission.MutationInterface.
func (d *defaultIngressClass) Admit(_ context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	ingress, ok := attributes.GetObject().(*networkingv1.Ingress)
	if !ok || attributes.GetSubresource() != "" || ingress.Spec.IngressClassName != nil {
		return nil
	}
	if _, named := ingress.Annotations[api.ClassAnnotation]; named {
		return nil
	}
	if !d.WaitForReady() {
		return admission.NewForbidden(attributes, fmt.Errorf("not yet ready to handle request"))
	}
	classes, err := d.classes.List(labels.Everything())
	if err != nil {
		return admission.NewForbidden(attributes, err)
	}
	var defaults []string
	for _, class := range classes {
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			defaults = append(defaults, class.Name)
		}
	}
	switch len(defaults) {
	case 0:
		return nil
	case 1:
		ingress.Spec.IngressClassName = &defaults[0]
		return nil
	}
	return admission.NewForbidden(attributes, errors.NewInternalError(fmt.Errorf("%d default IngressClasses were found, only 1 allowed", len(defaults))))
}
