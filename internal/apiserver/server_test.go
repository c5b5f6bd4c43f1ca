package apiserver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
)

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"name": name}}
}

// overTLS is a client as any other machine has it.
func overTLS(t *testing.T, server *apitest.Server) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", server.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestEveryTransportAndEncodingWorks(t *testing.T) {
	server := apitest.Start(t)
	for name, config := range map[string]*rest.Config{"in-process": server.Admin(), "tls": overTLS(t, server)} {
		for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
			t.Run(name+" "+contentType, func(t *testing.T) {
				config := rest.CopyConfig(config)
				config.ContentType, config.AcceptContentTypes = contentType, contentType
				maps := clientOf(t, config).CoreV1().ConfigMaps("default")
				object := "map-" + strings.ReplaceAll(name+contentType, "/", ".")
				object = strings.ReplaceAll(object, "+", ".")
				if _, err := maps.Create(t.Context(), configMap(object), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				watch, err := maps.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + object, ResourceVersion: "0"})
				if err != nil {
					t.Fatal(err)
				}
				defer watch.Stop()
				event := <-watch.ResultChan()
				if got, ok := event.Object.(*corev1.ConfigMap); !ok || got.Data["name"] != object {
					t.Errorf("watched %v", event)
				}
				list, err := maps.List(t.Context(), metav1.ListOptions{Limit: 1})
				if err != nil || len(list.Items) != 1 {
					t.Errorf("listed %v, %v", list, err)
				}
			})
		}
	}
}

// TestManyWritersAtOnce creates 700 objects side by side and misses none.
func TestManyWritersAtOnce(t *testing.T) {
	const writers = 700
	server := apitest.Start(t)
	for name, config := range map[string]*rest.Config{"in-process": server.Admin(), "tls": overTLS(t, server)} {
		t.Run(name, func(t *testing.T) {
			maps := clientOf(t, config).CoreV1().ConfigMaps("default")
			var group sync.WaitGroup
			for i := range writers {
				group.Go(func() {
					if _, err := maps.Create(t.Context(), configMap(fmt.Sprintf("%s-%d", name, i)), metav1.CreateOptions{}); err != nil {
						t.Errorf("creating %d: %v", i, err)
					}
				})
			}
			group.Wait()
			list, err := maps.List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, object := range list.Items {
				if strings.HasPrefix(object.Name, name+"-") {
					found++
				}
			}
			if found != writers {
				t.Errorf("found %d of %d", found, writers)
			}
		})
	}
}

// TestInformersSyncByStreaming proves that stock informers get their first
// view as a stream (WatchList), and not by falling back to a list.
func TestInformersSyncByStreaming(t *testing.T) {
	server := apitest.Start(t)
	client := server.Client(t)
	for i := range 20 {
		if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(fmt.Sprintf("m%d", i)), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, resource := range []string{"configmaps", "events"} {
		watch, err := client.CoreV1().RESTClient().Get().Namespace("default").Resource(resource).
			VersionedParams(&metav1.ListOptions{Watch: true, SendInitialEvents: new(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}, metav1.ParameterCodec).
			Stream(t.Context())
		if err != nil {
			t.Fatalf("streaming %s: %v", resource, err)
		}
		watch.Close()
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().ConfigMaps().Informer()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("not in sync in time")
	}
	if got := len(informer.GetStore().ListKeys()); got < 20 {
		t.Errorf("%d objects", got)
	}
}

func TestDataOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	first := apitest.Start(t, apitest.WithDataDir(dir))
	before, err := first.Client(t).CoreV1().ConfigMaps("default").Create(t.Context(), configMap("kept"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := overTLS(t, first)
	token := tokenOf(t, first, "keeper")
	first.Stop()

	second := apitest.Start(t, apitest.WithDataDir(dir))
	after, err := second.Client(t).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil || after.UID != before.UID || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("got %v, %v", after, err)
	}
	kubeconfig.Host = second.URL
	if _, err := clientOf(t, kubeconfig).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the administrator's old kubeconfig: %v", err)
	}
	if _, err := clientOf(t, bearing(second, token)).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{}); err != nil {
		t.Errorf("an old token: %v", err)
	}
	service, err := second.Client(t).CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil || service.Spec.ClusterIP != "10.96.0.1" || service.Spec.Ports[0].TargetPort.IntValue() != second.Addr().(*net.TCPAddr).Port {
		t.Errorf("the kubernetes Service: %v, %v", service.Spec, err)
	}
}

// The Service of the API stands at the first address of the range that is used
// now.
func TestTheAPIsServiceMovesWithTheRange(t *testing.T) {
	dir := t.TempDir()
	apitest.Start(t, apitest.WithDataDir(dir)).Stop()
	second := apitest.Start(t, apitest.WithDataDir(dir), apitest.WithConfig(func(c *apiserver.Config) { c.ServiceCIDR = netip.MustParsePrefix("10.32.0.0/16") }))
	service, err := second.Client(t).CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil || service.Spec.ClusterIP != "10.32.0.1" {
		t.Errorf("the kubernetes Service is at %q (%v), want 10.32.0.1", service.Spec.ClusterIP, err)
	}
}

func TestStopLetsWatchesGo(t *testing.T) {
	server := apitest.Start(t)
	watches := 0
	for _, config := range []*rest.Config{server.Admin(), overTLS(t, server)} {
		watch, err := clientOf(t, config).CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Stop()
		watches++
	}
	began := time.Now()
	server.Stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping with %d open watches took %s", watches, took)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config apiserver.Config
		want   []string
	}{
		{"port in use", apiserver.Config{Listen: []string{held.Addr().String()}}, []string{held.Addr().String(), "in use", "--listen"}},
		{"no address of ours", apiserver.Config{Listen: []string{"192.0.2.1:6443"}}, []string{"192.0.2.1:6443", "--listen", "no address of this machine"}},
		{"no port", apiserver.Config{Listen: []string{"127.0.0.1"}}, []string{"127.0.0.1", "--listen"}},
		{"nothing to listen on", apiserver.Config{}, []string{"--listen"}},
		{"a file in the way", apiserver.Config{DataDir: file, Listen: []string{"127.0.0.1:0"}}, []string{"--data-dir", file}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.config.DataDir == "" {
				test.config.DataDir = t.TempDir()
			}
			test.config.EtcdEndpoint = "unix:///nowhere"
			_, err := apiserver.New(test.config)
			if err == nil {
				t.Fatal("it was built")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line: %v", err)
			}
		})
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	client := apitest.Start(t).Client(t)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
	}}
	made, err := client.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil || made.Spec.Replicas == nil || *made.Spec.Replicas != 1 {
		t.Errorf("got %v, %v", made, err)
	}
	list, err := client.AppsV1().Deployments("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("stored %v, %v", list, err)
	}
}
