package admission

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	corelisters "k8s.io/client-go/listers/core/v1"

	api "coxswain.dev/cox/internal/apis/core"
)

// limitRanger gives new Pods the default requests and limits of their
// namespace, and refuses those beyond its bounds.
type limitRanger struct {
	*admission.Handler
	ranges corelisters.LimitRangeLister
}

var (
	_ admission.MutationInterface   = &limitRanger{}
	_ admission.ValidationInterface = &limitRanger{}
)

func newLimitRanger(deps Dependencies) admission.Interface {
	informer := deps.Informers.Core().V1().LimitRanges()
	plugin := &limitRanger{Handler: admission.NewHandler(admission.Create), ranges: informer.Lister()}
	plugin.SetReadyFunc(informer.Informer().HasSynced)
	return plugin
}

// Admit implements admission.MutationInterface.
func (l *limitRanger) Admit(_ context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	return l.each(attributes, func(limits *corev1.LimitRange, pod *corev1.Pod) error {
		api.ApplyLimitDefaults(limits, pod)
		return nil
	})
}

// Validate implements admission.ValidationInterface.
func (l *limitRanger) Validate(_ context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	return l.each(attributes, api.CheckLimits)
}

// each calls apply for every LimitRange of the Pod's namespace, ordered by
// name, until one refuses the Pod.
func (l *limitRanger) each(attributes admission.Attributes, apply func(*corev1.LimitRange, *corev1.Pod) error) error {
	pod := podOf(attributes)
	if pod == nil {
		return nil
	}
	if !l.WaitForReady() {
		return admission.NewForbidden(attributes, fmt.Errorf("not yet ready to handle request"))
	}
	ranges, err := l.ranges.LimitRanges(attributes.GetNamespace()).List(labels.Everything())
	if err != nil {
		return admission.NewForbidden(attributes, fmt.Errorf("unable to %s %v at this time because there was an error enforcing limit ranges", attributes.GetOperation(), attributes.GetResource()))
	}
	slices.SortFunc(ranges, func(a, b *corev1.LimitRange) int { return cmp.Compare(a.Name, b.Name) })
	for _, limits := range ranges {
		if err := apply(limits, pod); err != nil {
			return admission.NewForbidden(attributes, err)
		}
	}
	return nil
}
