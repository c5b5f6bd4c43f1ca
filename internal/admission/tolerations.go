package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// tolerationSeconds is how long a Pod stays on a node that is not ready or not
// reachable, unless it says otherwise.
const tolerationSeconds int64 = 300

// defaultTolerationSeconds gives every Pod a bounded time on a lost node.
type defaultTolerationSeconds struct{ *admission.Handler }

var _ admission.MutationInterface = defaultTolerationSeconds{}

func newDefaultTolerationSeconds() admission.Interface {
	return defaultTolerationSeconds{admission.NewHandler(admission.Create, admission.Update)}
}

// Admit implements admission.MutationInterface.
func (defaultTolerationSeconds) Admit(_ context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(attributes)
	if pod == nil {
		return nil
	}
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if tolerates(pod, taint) {
			continue
		}
		seconds := tolerationSeconds
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	return nil
}

// tolerates tells whether the Pod has an opinion on the taint already.
func tolerates(pod *corev1.Pod, taint string) bool {
	for _, toleration := range pod.Spec.Tolerations {
		if (toleration.Key == taint || toleration.Key == "") &&
			(toleration.Effect == corev1.TaintEffectNoExecute || toleration.Effect == "") {
			return true
		}
	}
	return false
}
