package apitest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStartServesWhatItStores(t *testing.T) {
	client := Start(t).Client(t)
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "trial"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"a": "1"}}
	if _, err := client.CoreV1().ConfigMaps("trial").Create(t.Context(), want, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().ConfigMaps("trial").Get(t.Context(), "settings", metav1.GetOptions{})
	if err != nil || got.Data["a"] != "1" {
		t.Fatalf("got %v, %v", got, err)
	}
}
