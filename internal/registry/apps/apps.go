package apps

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder {
	return []registry.Builder{deployment(), replicaSet()}
}

// selectorText prints a selector as kubectl does.
func selectorText(selector *metav1.LabelSelector) string { return metav1.FormatLabelSelector(selector) }

// containersOf lists the names and the images of a template's containers.
func containersOf(template *corev1.PodTemplateSpec) (names, images string) {
	var allNames, allImages []string
	for _, container := range template.Spec.Containers {
		allNames, allImages = append(allNames, container.Name), append(allImages, container.Image)
	}
	return strings.Join(allNames, ","), strings.Join(allImages, ",")
}
