package admission_test

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/apitest"
)

func makeDefaultClass(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}},
		Spec:       networkingv1.IngressClassSpec{Controller: "example.com/" + name},
	}
	if _, err := client.NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// admitIngress gives the class that an Ingress would be stored with.
func admitIngress(t *testing.T, client kubernetes.Interface, change func(*networkingv1.Ingress)) (string, error) {
	t.Helper()
	ingress := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: networkingv1.IngressSpec{DefaultBackend: &networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}},
	}
	change(ingress)
	admitted, err := client.NetworkingV1().Ingresses("default").Create(t.Context(), ingress, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil || admitted.Spec.IngressClassName == nil {
		return "", err
	}
	return *admitted.Spec.IngressClassName, nil
}

func TestAnIngressGetsTheDefaultClass(t *testing.T) {
	client := apitest.Start(t).Client(t)
	plain := func(*networkingv1.Ingress) {}
	if class, err := admitIngress(t, client, plain); class != "" || err != nil {
		t.Fatalf("without any class: %q, %v", class, err)
	}
	makeDefaultClass(t, client, "first")
	// Admission learns of classes by a watch.
	awaitAdmission(t, func() bool {
		class, err := admitIngress(t, client, plain)
		return err == nil && class == "first"
	})
	own := "own"
	if class, err := admitIngress(t, client, func(i *networkingv1.Ingress) { i.Spec.IngressClassName = &own }); class != own || err != nil {
		t.Errorf("with a class of its own: %q, %v", class, err)
	}
	annotated := func(i *networkingv1.Ingress) { i.Annotations = map[string]string{"kubernetes.io/ingress.class": "old"} }
	if class, err := admitIngress(t, client, annotated); class != "" || err != nil {
		t.Errorf("with the annotation: %q, %v", class, err)
	}
	makeDefaultClass(t, client, "second")
	awaitAdmission(t, func() bool {
		_, err := admitIngress(t, client, plain)
		return err != nil && strings.Contains(err.Error(), "2 default IngressClasses were found, only 1 allowed")
	})
}
