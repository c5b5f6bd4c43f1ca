package apps

import (
	"context"
	"strings"

	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder {
	return []registry.Builder{deployment(), replicaSet()}
}

// The versions that the kinds had before. Kubernetes v1.16 stopped to serve
// them; manifests of them are still around.
var (
	olderDeployments = []schema.GroupVersion{appsv1beta2.SchemeGroupVersion, appsv1beta1.SchemeGroupVersion, extensionsv1beta1.SchemeGroupVersion}
	olderReplicaSets = []schema.GroupVersion{appsv1beta2.SchemeGroupVersion, extensionsv1beta1.SchemeGroupVersion}
)

// explainSelector says to users of the versions in which a selector could be
// changed why it cannot be here.
func explainSelector(ctx context.Context, errs field.ErrorList) field.ErrorList {
	if !registry.AskedThrough(ctx, appsv1beta1.SchemeGroupVersion, extensionsv1beta1.SchemeGroupVersion) {
		return errs
	}
	for _, err := range errs {
		if err.Field == "spec.selector" && strings.HasSuffix(err.Detail, apivalidation.FieldImmutableErrorMsg) {
			err.Detail += ": the object is kept as apps/v1, in which a selector stays as it was created"
		}
	}
	return errs
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
