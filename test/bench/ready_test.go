package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/test/harness"
)

// BenchmarkReadyToFirstRequest is from the moment in which a client sees that
// a Pod is ready until a request by its Service is answered for the first
// time, 20 times; beside it, how long a client waits to see a ConfigMap that
// it creates: between the two moments the endpoints are written and seen by
// the proxy in the same way. It is negative if the answer comes first.
func BenchmarkReadyToFirstRequest(b *testing.B) {
	const times = 20
	instance := startWithImages(b)
	client := connect(b, instance)
	for b.Loop() {
		var took, seen []time.Duration
		for n := range times {
			name := fmt.Sprintf("ready-%d", n)
			seen = append(seen, timeToSee(b, client, name))
			took = append(took, readyToRequest(b, instance, client, name))
			remove(b, client, name)
		}
		b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
		b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
		b.ReportMetric(float64(percentile(took, 50))/float64(percentile(seen, 50)), "x-create-and-see-p50")
	}
}

// timeToSee is from the creation of a ConfigMap to its event.
func timeToSee(b *testing.B, client kubernetes.Interface, name string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	maps := client.CoreV1().ConfigMaps("default")
	watcher, err := maps.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		b.Fatal(err)
	}
	defer watcher.Stop()
	start := time.Now()
	if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	for event := range watcher.ResultChan() {
		if event.Type == watch.Added {
			return time.Since(start)
		}
	}
	b.Fatalf("ConfigMap %s was not seen within %v", name, deadline)
	return 0
}

// readyToRequest makes a Service and a Pod for it, and asks the Service all
// the time.
func readyToRequest(b *testing.B, instance *harness.Instance, client kubernetes.Interface, name string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	service, err := client.CoreV1().Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.CoreV1().Services("default").Delete(context.Background(), name, metav1.DeleteOptions{})
	answered := make(chan time.Time, 1)
	go func() {
		if at, ok := firstAnswer(ctx, instance, net.JoinHostPort(service.Spec.ClusterIP, "80")); ok {
			answered <- at
		}
	}()
	watcher, err := client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		b.Fatal(err)
	}
	defer watcher.Stop()
	if _, err := client.AppsV1().Deployments("default").Create(ctx, deployment(name, "gasbugs/http-go:v1", 1), metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	ready := awaitReady(b, watcher)
	select {
	case at := <-answered:
		return at.Sub(ready)
	case <-ctx.Done():
		b.Fatalf("Service %s did not answer within %v", name, deadline)
		return 0
	}
}

func awaitReady(b *testing.B, watcher watch.Interface) time.Time {
	b.Helper()
	for event := range watcher.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		for n := 0; ok && n < len(pod.Status.Conditions); n++ {
			if c := pod.Status.Conditions[n]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return time.Now()
			}
		}
	}
	b.Fatalf("no Pod became ready within %v", deadline)
	return time.Time{}
}

// firstAnswer asks an address until it answers, and tells when that was. While
// nobody is behind it, connections are refused at once.
func firstAnswer(ctx context.Context, instance *harness.Instance, address string) (time.Time, bool) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: inside(instance), DisableKeepAlives: true}}
	for ctx.Err() == nil {
		response, err := client.Get("http://" + address + "/healthz")
		if err == nil {
			response.Body.Close()
			return time.Now(), true
		}
		select {
		case <-time.After(time.Millisecond): // leaves the processor to those who work
		case <-ctx.Done():
		}
	}
	return time.Time{}, false
}
