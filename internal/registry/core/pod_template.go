package core

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func podTemplate() registry.Kind[*corev1.PodTemplate] {
	return registry.Kind[*corev1.PodTemplate]{
		Version: corev1.SchemeGroupVersion, Resource: "podtemplates", Singular: "podtemplate",
		New:              func() *corev1.PodTemplate { return &corev1.PodTemplate{} },
		NewList:          func() runtime.Object { return &corev1.PodTemplateList{} },
		PrepareForCreate: func(_ context.Context, obj *corev1.PodTemplate) { obj.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.PodTemplate) {
			obj.Generation = old.Generation
			if !equality.Semantic.DeepEqual(obj.Template, old.Template) {
				obj.Generation++
			}
		},
		Validate: func(_ context.Context, obj *corev1.PodTemplate) field.ErrorList {
			return api.ValidatePodTemplate(&obj.Template, field.NewPath("template"))
		},
		ValidateUpdate: func(_ context.Context, obj, _ *corev1.PodTemplate) field.ErrorList {
			return api.ValidatePodTemplate(&obj.Template, field.NewPath("template"))
		},
		Warnings: func(_ context.Context, obj, _ *corev1.PodTemplate) []string {
			return api.TemplateWarnings(&obj.Template, field.NewPath("template"))
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Containers", "string", "Names of each container in the template."),
			registry.Column("Images", "string", "Images referenced by each container in the template."),
			registry.Column("Pod Labels", "string", "The labels for the pod template."),
		},
		Row: func(obj *corev1.PodTemplate) []any {
			names, images := containersOf(&obj.Template)
			return []any{obj.Name, names, images, labels.FormatLabels(obj.Template.Labels)}
		},
	}
}

// containersOf lists the names and the images of a template's containers.
func containersOf(template *corev1.PodTemplateSpec) (names, images string) {
	var allNames, allImages []string
	for _, container := range template.Spec.Containers {
		allNames, allImages = append(allNames, container.Name), append(allImages, container.Image)
	}
	return strings.Join(allNames, ","), strings.Join(allImages, ",")
}
