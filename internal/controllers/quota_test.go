package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/controllers"
)

// withQuota is a server with controllers, and a namespace "q" with a quota.
func withQuota(t *testing.T, hard map[corev1.ResourceName]string) kubernetes.Interface {
	t.Helper()
	return withQuotaThrough(t, nil, hard)
}

// withQuotaThrough has the controllers' requests go through wrap first.
func withQuotaThrough(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper, hard map[corev1.ResourceName]string) kubernetes.Interface {
	t.Helper()
	server := apitest.Start(t)
	client := server.Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	config := rest.CopyConfig(server.Admin())
	if wrap != nil {
		config.Wrap(wrap)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: config, ClusterCA: server.CA()})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended with: %v", err)
		}
	})
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "q"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}}
	for name, amount := range hard {
		quota.Spec.Hard[name] = resource.MustParse(amount)
	}
	if _, err := client.CoreV1().ResourceQuotas("q").Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		found, err := client.CoreV1().ResourceQuotas("q").Get(ctx, "q", metav1.GetOptions{})
		if err == nil && len(found.Status.Hard) != len(hard) {
			err = fmt.Errorf("status %v", found.Status)
		}
		return err
	})
	return client
}

func eventually(t *testing.T, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func uses(t *testing.T, client kubernetes.Interface, name corev1.ResourceName, want string) {
	t.Helper()
	eventually(t, func() error {
		found, err := client.CoreV1().ResourceQuotas("q").Get(t.Context(), "q", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := found.Status.Used[name]; got.String() != want {
			return fmt.Errorf("%s of %s are used, want %s", got.String(), name, want)
		}
		return nil
	})
}

func smallPod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
	}}}}
}

func TestAQuotaIsChargedAndGivenBack(t *testing.T) {
	client := withQuota(t, map[corev1.ResourceName]string{"pods": "2", "requests.cpu": "1", "services.nodeports": "1", "count/configmaps": "2", "secrets": "1"})
	pods := client.CoreV1().Pods("q")
	for _, name := range []string{"a", "b"} {
		if _, err := pods.Create(t.Context(), smallPod(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := pods.Create(t.Context(), smallPod("c"), metav1.CreateOptions{})
	if want := `pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	uses(t, client, "requests.cpu", "200m")
	if err := pods.Delete(t.Context(), "a", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "pods", "1")
	uses(t, client, "requests.cpu", "100m")
	if _, err := pods.Create(t.Context(), smallPod("c"), metav1.CreateOptions{}); err != nil {
		t.Errorf("after a Pod has gone: %v", err)
	}

	unstated := smallPod("d")
	unstated.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	_, err = pods.Create(t.Context(), unstated, metav1.CreateOptions{})
	if want := `pods "d" is forbidden: failed quota: q: must specify requests.cpu for: c`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAQuotaCountsServicesAndOtherObjects(t *testing.T) {
	client := withQuota(t, map[corev1.ResourceName]string{"services.nodeports": "1", "count/configmaps": "2", "secrets": "1", "persistentvolumeclaims": "3"})
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := client.CoreV1().Services("q").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service.Name = "t"
	_, err := client.CoreV1().Services("q").Create(t.Context(), service, metav1.CreateOptions{})
	if want := `services "t" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	uses(t, client, "count/configmaps", "1") // kube-root-ca.crt
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}
	if _, err := client.CoreV1().Secrets("q").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "secrets", "1")
	if err := client.CoreV1().Secrets("q").Delete(t.Context(), "s", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "secrets", "0")
	uses(t, client, "persistentvolumeclaims", "0")
}

// TestAQuotaHoldsAgainstManyAtOnce tries to get more in than is allowed,
// while what is let in goes again.
func TestAQuotaHoldsAgainstManyAtOnce(t *testing.T) {
	const limit, writers, rounds = 5, 8, 25
	client := withQuota(t, map[corev1.ResourceName]string{"pods": "5"})
	pods := client.CoreV1().Pods("q")
	var alive, most, made atomic.Int64
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("p-%d-%d", writer, round)
				if _, err := pods.Create(t.Context(), smallPod(name), metav1.CreateOptions{}); err != nil {
					continue
				}
				made.Add(1)
				now := alive.Add(1)
				for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
				}
				alive.Add(-1)
				if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if most.Load() > limit || made.Load() < limit {
		t.Errorf("%d Pods at once, %d in all", most.Load(), made.Load())
	}
	uses(t, client, "pods", "0")
}
