package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"coxswain.dev/cox/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const deadline = 2 * time.Minute

// connect makes a client whose connections begin inside the instance's
// network namespace, without a rate limit.
func connect(b *testing.B, instance *harness.Instance) kubernetes.Interface {
	b.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", instance.Kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	config.Dial = inside(instance)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func inside(instance *harness.Instance) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = instance.Inside(func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// awaitHTTP asks url until it answers 200.
func awaitHTTP(b *testing.B, instance *harness.Instance, url string) {
	b.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		DialContext: inside(instance), DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // only asked whether it is there
	}}
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if response, err := client.Get(url); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	b.Fatalf("%s did not answer within %v\n%s", url, deadline, instance.LogTail())
}

// awaitDeployment waits until condition holds for the Deployment.
func awaitDeployment(b *testing.B, client kubernetes.Interface, name string, condition func(*appsv1.Deployment) bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	watcher, err := client.AppsV1().Deployments("default").Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		b.Fatal(err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if deployment, ok := event.Object.(*appsv1.Deployment); ok && event.Type != watch.Deleted && condition(deployment) {
			return
		}
	}
	b.Fatalf("Deployment %s did not get there within %v", name, deadline)
}

func complete(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want && d.Status.Replicas == want && d.Status.AvailableReplicas == want
}

// deployment is the smallest Deployment of the sample application.
func deployment(name, image string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "http-go", Image: image}}},
			},
		},
	}
}

func startWithImages(b *testing.B) *harness.Instance {
	b.Helper()
	instance := harness.Start(b)
	instance.Cox("images", "import", harness.Binary("http-go.tar"))
	return instance
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile is the smallest value that p hundredths of all do not exceed.
func percentile(values []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*p+99)/100-1]
}

// BenchmarkStart is exec → API ready on empty data, beside the time that the
// same binary takes to print its version.
func BenchmarkStart(b *testing.B) {
	var ready, exec time.Duration
	for b.Loop() {
		instance := harness.New(b)
		exec += timeVersion(b)
		start := time.Now()
		up := instance.Begin()
		awaitHTTP(b, instance, "https://127.0.0.1:6443/readyz")
		ready += time.Since(start)
		up()
		instance.Remove()
	}
	b.ReportMetric(milliseconds(ready)/float64(b.N), "ms/api-ready")
	b.ReportMetric(float64(ready)/float64(exec), "x-exec-of-cox-version")
}

func timeVersion(b *testing.B) time.Duration {
	b.Helper()
	start := time.Now()
	if out, err := exec.Command(harness.Binary("cox"), "version").CombinedOutput(); err != nil {
		b.Fatalf("cox version: %v\n%s", err, out)
	}
	return time.Since(start)
}

// BenchmarkFirstPod is exec → first Pod answering, with the image imported
// and the engine stopped, beside the bare CRI calls for the same container.
func BenchmarkFirstPod(b *testing.B) {
	instance := startWithImages(b)
	floor := engineOf(b, instance).runOne(context.Background())
	var total time.Duration
	for b.Loop() {
		b.StopTimer()
		instance.Cox("down", "--pods")
		b.StartTimer()
		start := time.Now()
		up := instance.Begin()
		awaitHTTP(b, instance, "https://127.0.0.1:6443/readyz")
		client := connect(b, instance)
		if _, err := client.AppsV1().Deployments("default").Create(context.Background(), deployment("first", "gasbugs/http-go:v1", 1), metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		awaitHTTP(b, instance, "http://"+podIP(b, client, "first")+":8080/healthz")
		total += time.Since(start)
		b.StopTimer()
		up()
		remove(b, client, "first")
		b.StartTimer()
	}
	b.ReportMetric(milliseconds(total)/float64(b.N), "ms/first-pod")
	b.ReportMetric(float64(total)/float64(b.N)/float64(floor), "x-cri-floor")
}

// podIP waits for the address of the only Pod of an application.
func podIP(b *testing.B, client kubernetes.Interface, app string) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	watcher, err := client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		b.Fatal(err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok && pod.Status.PodIP != "" && pod.DeletionTimestamp == nil {
			return pod.Status.PodIP
		}
	}
	b.Fatalf("no Pod of %s got an address within %v", app, deadline)
	return ""
}

// remove deletes a Deployment and waits until its Pods are gone.
func remove(b *testing.B, client kubernetes.Interface, name string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := client.AppsV1().Deployments("default").Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	for {
		list, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			b.Fatal(err)
		}
		if len(list.Items) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// BenchmarkCreateToAvailable is a one-replica Deployment, 20 times, beside the
// bare CRI calls.
func BenchmarkCreateToAvailable(b *testing.B) {
	const times = 20
	instance := startWithImages(b)
	client := connect(b, instance)
	floor := engineOf(b, instance)
	for b.Loop() {
		var took, bare []time.Duration
		for n := range times {
			bare = append(bare, floor.runOne(context.Background()))
			name := fmt.Sprintf("one-%d", n)
			start := time.Now()
			if _, err := client.AppsV1().Deployments("default").Create(context.Background(), deployment(name, "gasbugs/http-go:v1", 1), metav1.CreateOptions{}); err != nil {
				b.Fatal(err)
			}
			awaitDeployment(b, client, name, complete)
			took = append(took, time.Since(start))
			remove(b, client, name)
		}
		b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
		b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
		b.ReportMetric(float64(percentile(took, 50))/float64(percentile(bare, 50)), "x-cri-floor-p50")
	}
}

// BenchmarkRollingUpdate is an update of 10 replicas, beside ten times the
// bare CRI calls one after the other.
func BenchmarkRollingUpdate(b *testing.B) {
	const replicas = 10
	instance := startWithImages(b)
	client := connect(b, instance)
	floor := engineOf(b, instance).runOne(context.Background())
	if _, err := client.AppsV1().Deployments("default").Create(context.Background(), deployment("ten", "gasbugs/http-go:v1", replicas), metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	awaitDeployment(b, client, "ten", complete)
	var total time.Duration
	n := 2 // the first update goes to v2
	for b.Loop() {
		n++
		start := time.Now()
		instance.Kubectl("set", "image", "deployment/ten", fmt.Sprintf("http-go=gasbugs/http-go:v%d", 1+n%2))
		awaitDeployment(b, client, "ten", complete)
		total += time.Since(start)
	}
	b.ReportMetric(milliseconds(total)/float64(b.N), "ms/update")
	b.ReportMetric(float64(total)/float64(b.N)/float64(replicas*floor), "x-cri-floor")
}
