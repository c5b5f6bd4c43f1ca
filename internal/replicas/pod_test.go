package replicas_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

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

// TestPodsOfOneName: a cache holds one Pod for a name, but a decision does not
// depend on the order even where there are two.
func TestPodsOfOneName(t *testing.T) {
	w := newWorld()
	for _, uids := range [][2]types.UID{{"first", "second"}, {"second", "first"}} {
		var pods []*corev1.Pod
		for _, uid := range uids {
			pod, err := w.podOf("stray", []string{"owner=none", "uid=" + string(uid)})
			if err != nil {
				t.Fatal(err)
			}
			pods = append(pods, pod)
		}
		adopted := replicas.Decide(replicas.Snapshot{Now: start, Set: w.set, Pods: pods}).Adopt
		if len(adopted) != 2 || adopted[0].UID != "first" || adopted[1].UID != "second" {
			t.Errorf("of %q it adopts %v", uids, adopted)
		}
	}
}
