package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestANamespaceGetsItsAccountAndCertificateAndKeepsThem(t *testing.T) {
	client := withControllers(t, nil)
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	complete := func() error {
		if _, err := client.CoreV1().ServiceAccounts("new").Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			return err
		}
		roots, err := client.CoreV1().ConfigMaps("new").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		if err == nil && len(roots.Data["ca.crt"]) < 100 {
			err = fmt.Errorf("kube-root-ca.crt is %q", roots.Data)
		}
		return err
	}
	eventually(t, complete)
	if err := client.CoreV1().ServiceAccounts("new").Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().ConfigMaps("new").Delete(t.Context(), "kube-root-ca.crt", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, complete)
	patch := []byte(`{"data":{"ca.crt":"mine"}}`)
	if _, err := client.CoreV1().ConfigMaps("new").Patch(t.Context(), "kube-root-ca.crt", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, complete)
}

// condition is one of a Namespace: reason and message while it is True.
func condition(t *testing.T, namespace *corev1.Namespace, kind corev1.NamespaceConditionType) string {
	t.Helper()
	for _, c := range namespace.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

func TestANamespaceGoesWithAllThatIsInIt(t *testing.T) {
	client := withControllers(t, nil)
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := client.CoreV1().ServiceAccounts("doomed").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}
	if _, err := client.CoreV1().Secrets("doomed").Create(t.Context(), held, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	set := replicaSet(2)
	set.Namespace = "doomed"
	if _, err := client.AppsV1().ReplicaSets("doomed").Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(t.Context(), "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	const remaining = "SomeResourcesRemain: Some resources are remaining: secrets. has 1 resource instances"
	const finalizers = "SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
	eventually(t, func() error {
		found, err := client.CoreV1().Namespaces().Get(t.Context(), "doomed", metav1.GetOptions{})
		if err != nil {
			return err
		}
		content, waiting := condition(t, found, corev1.NamespaceContentRemaining), condition(t, found, corev1.NamespaceFinalizersRemaining)
		if found.Status.Phase != corev1.NamespaceTerminating || content != remaining || waiting != finalizers {
			return fmt.Errorf("phase %s, %q, %q", found.Status.Phase, content, waiting)
		}
		return nil
	})
	_, err := client.CoreV1().ConfigMaps("doomed").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
	if want := `configmaps "late" is forbidden: unable to create new content in namespace doomed because it is being terminated`; err == nil || err.Error() != want {
		t.Errorf("something new: %v, want %s", err, want)
	}
	release := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := client.CoreV1().Secrets("doomed").Patch(t.Context(), "held", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "doomed", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v)", err)
	})
	pods, err := client.CoreV1().Pods("doomed").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("left are %d Pods (%v)", len(pods.Items), err)
	}
}
