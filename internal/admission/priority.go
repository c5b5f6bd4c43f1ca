package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// systemClasses are the PriorityClasses of every cluster. No others are
// served.
var systemClasses = map[string]int32{
	"system-node-critical":    2000001000,
	"system-cluster-critical": 2000000000,
}

// priority turns a Pod's priorityClassName into its priority.
type priority struct{ *admission.Handler }

var _ admission.MutationInterface = priority{}

func newPriority() admission.Interface {
	return priority{admission.NewHandler(admission.Create, admission.Update)}
}

// Admit implements admission.MutationInterface.
func (priority) Admit(_ context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(attributes)
	if pod == nil {
		return nil
	}
	if attributes.GetOperation() == admission.Update {
		// A client that knows nothing of priorities must not lose them.
		if old, ok := attributes.GetOldObject().(*corev1.Pod); ok {
			if pod.Spec.Priority == nil {
				pod.Spec.Priority = old.Spec.Priority
			}
			if pod.Spec.PreemptionPolicy == nil {
				pod.Spec.PreemptionPolicy = old.Spec.PreemptionPolicy
			}
		}
		return nil
	}
	value, policy := int32(0), corev1.PreemptLowerPriority
	if class := pod.Spec.PriorityClassName; class != "" {
		known := false
		if value, known = systemClasses[class]; !known {
			return admission.NewForbidden(attributes, fmt.Errorf("no PriorityClass with name %v was found", class))
		}
	}
	if given := pod.Spec.Priority; given != nil && *given != value {
		return admission.NewForbidden(attributes, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *given, value))
	}
	if given := pod.Spec.PreemptionPolicy; given != nil && *given != policy {
		return admission.NewForbidden(attributes, fmt.Errorf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *given, policy))
	}
	pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &policy
	return nil
}
