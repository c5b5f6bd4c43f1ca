package controllers_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// brokenImage never becomes ready.
const brokenImage = "web:broken"

// runKubelet makes every Pod ready at once, except those of brokenImage, and
// lets those go that are to be deleted.
func runKubelet(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.Everything()),
		ObjectType:    &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { serve(ctx, t, client, obj.(*corev1.Pod)) },
			UpdateFunc: func(_, obj any) { serve(ctx, t, client, obj.(*corev1.Pod)) },
		},
	})
	ended := make(chan struct{})
	go func() { defer close(ended); informer.RunWithContext(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
}

// serve does what a kubelet would do about a Pod.
func serve(ctx context.Context, t *testing.T, client kubernetes.Interface, pod *corev1.Pod) {
	var err error
	switch {
	case pod.DeletionTimestamp != nil:
		err = client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	case pod.Status.Phase == corev1.PodPending && pod.Spec.Containers[0].Image != brokenImage:
		ready := pod.DeepCopy()
		at := metav1.NewTime(time.Now())
		ready.Status.Phase, ready.Status.PodIP, ready.Status.StartTime = corev1.PodRunning, "10.0.0.1", &at
		ready.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
		ready.Status.Conditions = append(ready.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at})
		_, err = client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, ready, metav1.UpdateOptions{})
	}
	if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		t.Errorf("the kubelet of the test: %v", err)
	}
}
