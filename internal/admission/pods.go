package admission

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// podOf returns the Pod that a request creates or updates, and nil for any
// other request and for those to a subresource.
func podOf(attributes admission.Attributes) *corev1.Pod {
	if attributes.GetSubresource() != "" || attributes.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	pod, _ := attributes.GetObject().(*corev1.Pod)
	return pod
}
