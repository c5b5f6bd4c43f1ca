package downward

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var pod = &corev1.Pod{
	ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "u", Labels: map[string]string{"b": "2", "a": `"1"`}, Annotations: map[string]string{"x/y": "z"}},
	Spec: corev1.PodSpec{NodeName: "node", ServiceAccountName: "me", Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("64Mi")},
		Requests: corev1.ResourceList{"cpu": resource.MustParse("250m")},
	}}}},
	Status: corev1.PodStatus{PodIP: "10.0.0.2", HostIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.2"}, {IP: "fd00::2"}}},
}

func TestField(t *testing.T) {
	for path, want := range map[string]string{
		"metadata.name": "web", "metadata.namespace": "ns", "metadata.uid": "u", "spec.nodeName": "node", "spec.serviceAccountName": "me",
		"status.podIP": "10.0.0.2", "status.podIPs": "10.0.0.2,fd00::2", "status.hostIP": "10.0.0.1",
		"metadata.labels": "a=\"\\\"1\\\"\"\nb=\"2\"", "metadata.labels['b']": "2", "metadata.annotations['x/y']": "z", "metadata.labels['no']": "",
	} {
		if got, err := Field(pod, path); err != nil || got != want {
			t.Errorf("Field(%s) = %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"", "spec.containers", "metadata.name['x']", "metadata.labels['x"} {
		if got, err := Field(pod, path); err == nil {
			t.Errorf("Field(%q) = %q, want an error", path, got)
		}
	}
}

func TestResource(t *testing.T) {
	node := corev1.ResourceList{"memory": resource.MustParse("1Gi"), "ephemeral-storage": resource.MustParse("5Gi")}
	for _, test := range []struct{ resource, divisor, want string }{
		{"limits.cpu", "0", "2"}, {"limits.cpu", "1m", "1500"}, {"requests.cpu", "1", "1"},
		{"limits.memory", "1Mi", "64"}, {"limits.memory", "0", "67108864"}, {"requests.memory", "0", "0"},
		{"limits.ephemeral-storage", "1Gi", "5"},
	} {
		ref := &corev1.ResourceFieldSelector{ContainerName: "c", Resource: test.resource, Divisor: resource.MustParse(test.divisor)}
		if got, err := Resource(pod, nil, ref, node); err != nil || got != test.want {
			t.Errorf("%s / %s = %q, %v, want %q", test.resource, test.divisor, got, err, test.want)
		}
	}
	if _, err := Resource(pod, nil, &corev1.ResourceFieldSelector{ContainerName: "no", Resource: "limits.cpu"}, node); err == nil {
		t.Error("no error for a container that is not there")
	}
}
