package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/test/harness"
)

const (
	throughputPods = 2000
	podsPerNode    = 110
	writers        = 16
)

// BenchmarkCreateAndBind is how many Pods a second a Deployment creates and
// placement binds, to nodes that no agent runs, beside bare ConfigMaps.
func BenchmarkCreateAndBind(b *testing.B) {
	instance := harness.Start(b)
	client := connect(b, instance)
	makeNodes(b, client, throughputPods/podsPerNode+1)
	for b.Loop() {
		bare := configMapsPerSecond(b, client)
		many := deployment("many", "nowhere.test/none", throughputPods)
		many.Spec.Template.Spec.NodeSelector = map[string]string{"bench": "true"}
		start := time.Now()
		if _, err := client.AppsV1().Deployments("default").Create(context.Background(), many, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		awaitBound(b, client, throughputPods)
		rate := throughputPods / time.Since(start).Seconds()
		b.ReportMetric(rate, "pods/s")
		b.ReportMetric(rate/bare, "x-configmaps/s")
	}
}

// makeNodes creates Ready nodes without agents.
func makeNodes(b *testing.B, client kubernetes.Interface, count int) {
	b.Helper()
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: *resource.NewQuantity(podsPerNode, resource.DecimalSI),
	}
	for n := range count {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("hollow-%d", n), Labels: map[string]string{"bench": "true"}}}
		made, err := client.CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{})
		if err != nil {
			b.Fatal(err)
		}
		made.Status.Capacity, made.Status.Allocatable = room, room
		made.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Hollow"}}
		if _, err := client.CoreV1().Nodes().UpdateStatus(context.Background(), made, metav1.UpdateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// configMapsPerSecond creates as many ConfigMaps as Pods will be.
func configMapsPerSecond(b *testing.B, client kubernetes.Interface) float64 {
	b.Helper()
	start := time.Now()
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := w; n < throughputPods; n += writers {
				object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bare-%d", n)}}
				if _, err := client.CoreV1().ConfigMaps("default").Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return throughputPods / time.Since(start).Seconds()
}

// awaitBound waits until that many Pods have a node. It watches as a client
// would that is not always quick enough: by an informer, which begins anew
// when the server gives it up.
func awaitBound(b *testing.B, client kubernetes.Interface, want int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var mu sync.Mutex
	bound := map[string]bool{}
	enough := make(chan struct{})
	see := func(object any) {
		pod, ok := object.(*corev1.Pod)
		if !ok || pod.Spec.NodeName == "" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if bound[pod.Name] {
			return
		}
		bound[pod.Name] = true
		if len(bound) == want {
			close(enough)
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	if _, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: see, UpdateFunc: func(_, now any) { see(now) },
	}); err != nil {
		b.Fatal(err)
	}
	factory.Start(ctx.Done())
	select {
	case <-enough:
	case <-ctx.Done():
		mu.Lock()
		defer mu.Unlock()
		b.Fatalf("%d of %d Pods were bound within %v", len(bound), want, deadline)
	}
}
