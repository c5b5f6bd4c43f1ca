package replicas_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"coxswain.dev/cox/internal/replicas"
)

func TestNamesOfPods(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct{ set, name, generateName string }{
		{"web", "web-abcde", "web-"},
		{"web-5d8f", "web-5d8f-abcde", "web-5d8f-"},
		// 58 characters and 5 random ones; what was asked for stays whole.
		{long, long[:58] + "abcde", long + "-"},
		{long[:57], long[:57] + "-abcde", long[:57] + "-"},
	} {
		w := newWorld()
		w.set.Meta.Name = test.set
		pod := replicas.NewPod(w.set, "abcde")
		if pod.Name != test.name || pod.GenerateName != test.generateName || pod.Namespace != "default" {
			t.Errorf("set %q: %s/%q of %q, not %q of %q", test.set, pod.Namespace, pod.Name, pod.GenerateName, test.name, test.generateName)
		}
	}
}

func TestAPodIsTheTemplateWithAnOwner(t *testing.T) {
	w := newWorld()
	w.set.Template.Annotations = map[string]string{"note": "yes"}
	w.set.Template.Finalizers = []string{"example.com/hold"}
	w.set.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "web:v1"}}
	before := w.set.Template.DeepCopy()
	pod := replicas.NewPod(w.set, "abcde")

	owner := pod.OwnerReferences[0]
	if len(pod.OwnerReferences) != 1 || owner.APIVersion != "apps/v1" || owner.Kind != "ReplicaSet" || owner.Name != "web" ||
		owner.UID != "uid-of-web" || !*owner.Controller || !*owner.BlockOwnerDeletion {
		t.Errorf("the owner is %+v", pod.OwnerReferences)
	}
	pod.Labels["changed"], pod.Annotations["changed"], pod.Finalizers[0], pod.Spec.Containers[0].Image = "x", "x", "x", "x"
	if !equality.Semantic.DeepEqual(w.set.Template, before) {
		t.Errorf("the Pod shares memory with the template: %+v", w.set.Template)
	}
}
