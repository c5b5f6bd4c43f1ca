package rollout_test

import (
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"coxswain.dev/cox/internal/rollout"
)

func TestGoingBackRestoresWhatWentWithTheTemplate(t *testing.T) {
	d, rs := &appsv1.Deployment{}, &appsv1.ReplicaSet{}
	d.Annotations = map[string]string{
		rollout.RevisionAnnotation: "7", corev1.LastAppliedConfigAnnotation: "applied",
		"kubernetes.io/change-cause": "the newest", "only/now": "x",
	}
	rs.Annotations = map[string]string{
		rollout.RevisionAnnotation: "3", rollout.DesiredReplicasAnnotation: "5", rollout.MaxReplicasAnnotation: "6",
		"kubernetes.io/change-cause": "the third", "only/then": "y",
	}
	want := map[string]string{
		rollout.RevisionAnnotation: "7", corev1.LastAppliedConfigAnnotation: "applied",
		"kubernetes.io/change-cause": "the third", "only/then": "y",
	}
	if got := rollout.RestoredAnnotations(d, rs); !maps.Equal(got, want) {
		t.Errorf("restored are %v, want %v", got, want)
	}
}

func TestTemplatesAreComparedByMeaning(t *testing.T) {
	w := newWorld()
	rs := &appsv1.ReplicaSet{}
	rs.Spec.Template = *w.deployment.Spec.Template.DeepCopy()
	change := func(change func(*corev1.PodTemplateSpec)) bool {
		changed := rs.DeepCopy()
		change(&changed.Spec.Template)
		return rollout.IsCurrent(changed, w.deployment)
	}
	w.deployment.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	rs.Spec.Template = *w.deployment.Spec.Template.DeepCopy()
	for name, same := range map[string]func(*corev1.PodTemplateSpec){
		"as it is":      func(*corev1.PodTemplateSpec) {},
		"with our hash": func(p *corev1.PodTemplateSpec) { p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "x" },
		"an empty list": func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = []corev1.Volume{} },
		"another notation": func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Limits[corev1.ResourceCPU] = resource.MustParse("1000m")
		},
	} {
		if !change(same) {
			t.Errorf("%s: it is another template", name)
		}
	}
	for name, other := range map[string]func(*corev1.PodTemplateSpec){
		"another image": func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "v9" },
		"another label": func(p *corev1.PodTemplateSpec) { p.Labels["tier"] = "front" },
		"an annotation": func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "b"} },
		"another limit": func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Limits[corev1.ResourceCPU] = resource.MustParse("2")
		},
		"more than that": func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "x"})
		},
	} {
		if change(other) {
			t.Errorf("%s: it is the same template", name)
		}
	}
}
