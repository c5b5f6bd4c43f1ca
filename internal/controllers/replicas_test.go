package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/controllers"
)

// withControllers runs a server and the controllers, whose requests go through
// wrap first.
func withControllers(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) kubernetes.Interface {
	t.Helper()
	server := apitest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	config := rest.CopyConfig(server.Admin())
	if wrap != nil {
		config.Wrap(wrap)
	}
	ended := make(chan error, 1)
	go func() { ended <- controllers.Run(ctx, controllers.Config{Client: config, ClusterCA: server.CA()}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended with: %v", err)
		}
	})
	client := server.Client(t)
	eventually(t, func() error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return client
}

func replicaSet(replicas int32) *appsv1.ReplicaSet {
	labels := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "web:v1"}}},
			},
		},
	}
}

func makeReplicaSet(t *testing.T, client kubernetes.Interface, replicas int32) *appsv1.ReplicaSet {
	t.Helper()
	set, err := client.AppsV1().ReplicaSets("default").Create(t.Context(), replicaSet(replicas), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// settled waits until the set's status says that it has its Pods, and returns
// all Pods there are.
func settled(t *testing.T, client kubernetes.Interface, replicas int32) []corev1.Pod {
	t.Helper()
	eventually(t, func() error {
		set, err := client.AppsV1().ReplicaSets("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (set.Status.Replicas != replicas || set.Status.ObservedGeneration != set.Generation || len(set.Status.Conditions) > 0) {
			err = fmt.Errorf("the status is %+v", set.Status)
		}
		return err
	})
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

func TestAdoptionAndReleaseKeepOtherOwners(t *testing.T) {
	client := withControllers(t, nil)
	owner, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	template := replicaSet(1).Spec.Template
	stray := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	stray.Name = "stray"
	stray.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.UID}}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), stray, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	set := makeReplicaSet(t, client, 1)
	if pods := settled(t, client, 1); len(pods) != 1 || len(pods[0].OwnerReferences) != 2 || !metav1.IsControlledBy(&pods[0], set) {
		t.Fatalf("after the adoption: %d Pods, owners of the first %+v", len(pods), pods[0].OwnerReferences)
	}
	patch := []byte(`{"metadata":{"labels":{"app":"gone"}}}`)
	if _, err := client.CoreV1().Pods("default").Patch(t.Context(), "stray", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		pod, err := client.CoreV1().Pods("default").Get(t.Context(), "stray", metav1.GetOptions{})
		if err == nil && (len(pod.OwnerReferences) != 1 || pod.OwnerReferences[0].UID != owner.UID) {
			err = fmt.Errorf("after the release: owners %+v", pod.OwnerReferences)
		}
		return err
	})
	eventually(t, func() error {
		pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items) != 2 {
			err = fmt.Errorf("%d Pods, not the stray one and its replacement", len(pods.Items))
		}
		return err
	})
}

func TestEventsOfASet(t *testing.T) {
	client := withControllers(t, nil)
	makeReplicaSet(t, client, 1)
	pod := settled(t, client, 1)[0].Name
	if _, err := client.AppsV1().ReplicaSets("default").Patch(t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	settled(t, client, 0)
	want := "Normal SuccessfulCreate Created pod: " + pod + "\nNormal SuccessfulDelete Deleted pod: " + pod + "\n"
	eventually(t, func() error {
		events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=ReplicaSet"})
		if err != nil {
			return err
		}
		var lines []string
		for _, event := range events.Items {
			lines = append(lines, event.Type+" "+event.Reason+" "+event.Message+"\n")
		}
		slices.Sort(lines)
		if got := strings.Join(lines, ""); got != want {
			return fmt.Errorf("the events are\n%s", got)
		}
		return nil
	})
}

// TestCreationIsBoundedAndResumesWhenQuotaFrees asks for more than a quota
// allows: few attempts are made, the set says why, and it goes on at once when
// the quota grows.
func TestCreationIsBoundedAndResumesWhenQuotaFrees(t *testing.T) {
	client := withQuota(t, map[corev1.ResourceName]string{corev1.ResourcePods: "2"})
	set := replicaSet(100)
	set.Namespace = "q"
	if _, err := client.AppsV1().ReplicaSets("q").Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		set, err := client.AppsV1().ReplicaSets("q").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (len(set.Status.Conditions) != 1 || set.Status.Replicas != 2) {
			err = fmt.Errorf("the status is %+v", set.Status)
		}
		if err == nil {
			condition := set.Status.Conditions[0]
			if condition.Reason != "FailedCreate" || !strings.Contains(condition.Message, "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2") {
				t.Fatalf("the condition is %+v", condition)
			}
		}
		return err
	})
	patch := []byte(`{"spec":{"hard":{"pods":"100"}}}`)
	if _, err := client.CoreV1().ResourceQuotas("q").Patch(t.Context(), "q", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		set, err := client.AppsV1().ReplicaSets("q").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (set.Status.Replicas != 100 || len(set.Status.Conditions) > 0) {
			err = fmt.Errorf("the status is %+v", set.Status)
		}
		return err
	})
}
