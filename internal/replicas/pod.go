package replicas

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mostNamePrefix leaves room for the random part within the 63 characters that
// a host name may have.
const mostNamePrefix = 63 - RandomLength

// RandomLength is how many random characters end a Pod's name.
const RandomLength = 5

// NewPod is a Pod of the set's template. random ends its name: the caller
// chooses the name, so that a create with an unknown outcome can be looked up.
func NewPod(set *Set, random string) *corev1.Pod {
	template := set.Template
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:            namePrefix(set) + random,
			GenerateName:    set.Meta.Name + "-",
			Namespace:       set.Meta.Namespace,
			Labels:          maps.Clone(template.Labels),
			Annotations:     maps.Clone(template.Annotations),
			Finalizers:      slices.Clone(template.Finalizers),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&set.Meta, set.Kind)},
		},
		Spec: *template.Spec.DeepCopy(),
	}
}

// namePrefix begins the names of a set's Pods.
func namePrefix(set *Set) string {
	prefix := set.Meta.Name + "-"
	return prefix[:min(len(prefix), mostNamePrefix)]
}
