package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// createOld creates a Deployment without Pods through extensions/v1beta1.
func createOld(t *testing.T, client kubernetes.Interface, namespace, name string, finalizers ...string) (*extensionsv1beta1.Deployment, error) {
	t.Helper()
	d := &extensionsv1beta1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: finalizers}, Spec: extensionsv1beta1.DeploymentSpec{
		Replicas: new(int32),
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		},
	}}
	return client.ExtensionsV1beta1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{})
}

func TestAQuotaCountsObjectsOfTwoGroupsOnce(t *testing.T) {
	client := withQuota(t, map[corev1.ResourceName]string{"count/deployments.apps": "2", "count/deployments.extensions": "2"})
	if _, err := createOld(t, client, "q", "old"); err != nil {
		t.Fatal(err)
	}
	old, err := client.AppsV1().Deployments("q").Get(t.Context(), "old", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := old.DeepCopy()
	d.ObjectMeta = metav1.ObjectMeta{Name: "new"}
	if _, err := client.AppsV1().Deployments("q").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const full = "exceeded quota: q, requested: count/deployments.apps=1,count/deployments.extensions=1, " +
		"used: count/deployments.apps=2,count/deployments.extensions=2, limited: count/deployments.apps=2,count/deployments.extensions=2"
	_, err = createOld(t, client, "q", "more")
	if want := `deployments.extensions "more" is forbidden: ` + full; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	d.ObjectMeta = metav1.ObjectMeta{Name: "more"}
	_, err = client.AppsV1().Deployments("q").Create(t.Context(), d, metav1.CreateOptions{})
	if want := `deployments.apps "more" is forbidden: ` + full; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := client.ExtensionsV1beta1().Deployments("q").Delete(t.Context(), "new", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "count/deployments.apps", "1")
	uses(t, client, "count/deployments.extensions", "1")
}

var background = metav1.DeletePropagationBackground

func TestAnOwnerMayBeNamedByItsOlderVersion(t *testing.T) {
	client := withControllers(t, nil)
	owner, err := createOld(t, client, "default", "owner")
	if err != nil {
		t.Fatal(err)
	}
	makeMap(t, client, "owned", metav1.OwnerReference{APIVersion: "extensions/v1beta1", Kind: "Deployment", Name: owner.Name, UID: owner.UID})
	fence(t, client, "before")
	stays(t, client, "owned")
	if err := client.ExtensionsV1beta1().Deployments("default").Delete(t.Context(), "owner", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	goesAway(t, client, "owned")
}

// Who says nothing else about dependents gets what was the rule then.
func TestADeletionThroughAnOlderVersionOrphans(t *testing.T) {
	client := withControllers(t, nil)
	for _, name := range []string{"a", "b"} {
		if _, err := createOld(t, client, "default", name); err != nil {
			t.Fatal(err)
		}
	}
	sets := func() (names []string) {
		t.Helper()
		found, err := client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range found.Items {
			names = append(names, fmt.Sprintf("%s of %d", set.Labels["app"], len(set.OwnerReferences)))
		}
		return names
	}
	wait := func(want ...string) {
		t.Helper()
		eventually(t, func() error {
			if got := sets(); fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("ReplicaSets %q, want %q", got, want)
			}
			return nil
		})
	}
	wait("a of 1", "b of 1")
	if err := client.ExtensionsV1beta1().Deployments("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wait("a of 0", "b of 1")
	if err := client.AppsV1().Deployments("default").Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wait("a of 0")
}

func TestANamespaceHasObjectsOfTwoGroupsOnce(t *testing.T) {
	client := withControllers(t, nil)
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := createOld(t, client, "doomed", "held", "example.com/hold"); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(t.Context(), "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	const remaining = "SomeResourcesRemain: Some resources are remaining: deployments.apps has 1 resource instances"
	eventually(t, func() error {
		found, err := client.CoreV1().Namespaces().Get(t.Context(), "doomed", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if content := condition(t, found, corev1.NamespaceContentRemaining); content != remaining {
			return fmt.Errorf("%q remains, want %q", content, remaining)
		}
		return nil
	})
	release := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := client.ExtensionsV1beta1().Deployments("doomed").Patch(t.Context(), "held", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "doomed", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v)", err)
	})
}
