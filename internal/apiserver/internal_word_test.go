package apiserver_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/apitest"
)

// TestInternalVersionsAreNeverServed reads everything there is to read, and
// what is stored. The
// internal versions exist for the library's conversions only.
func TestInternalVersionsAreNeverServed(t *testing.T) {
	server := apitest.Start(t)
	client := server.Client(t)
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	old := &extensionsv1beta1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: extensionsv1beta1.DeploymentSpec{Template: template}}
	if _, err := client.ExtensionsV1beta1().Deployments("default").Create(t.Context(), old, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	searchStore(t, server.StoreEndpoint)
	documents := map[string][]string{
		"/openapi/v2": {"application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"},
		"/openapi/v3": {"application/json"},
		"/api":        {"application/json", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		"/apis":       {"application/json", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		"/":           {"application/json"}, "/version": {"application/json"}, "/metrics": {"text/plain"},
	}
	var index struct{ Paths map[string]json.RawMessage }
	if err := json.Unmarshal(read(t, client, "/openapi/v3", "application/json"), &index); err != nil {
		t.Fatal(err)
	}
	for path := range index.Paths {
		documents["/openapi/v3/"+path] = []string{"application/json"}
	}
	_, resources, err := client.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range resources {
		root := "/apis/" + list.GroupVersion
		if list.GroupVersion == "v1" {
			root = "/api/v1"
		}
		documents[root] = []string{"application/json"}
		for _, resource := range list.APIResources {
			if strings.Contains(resource.Name, "/") || !strings.Contains(resource.Verbs.String(), "list") {
				continue
			}
			documents[root+"/"+resource.Name] = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf",
				"application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
		}
	}
	if len(documents) < 30 {
		t.Fatalf("only %d documents were found", len(documents))
	}
	for path, types := range documents {
		for _, accepted := range types {
			if content := read(t, client, path, accepted); bytes.Contains(content, []byte("__internal")) {
				at := bytes.Index(content, []byte("__internal"))
				t.Errorf("%s as %s: …%s…", path, accepted, content[max(0, at-100):min(len(content), at+50)])
			}
		}
	}
}

// searchStore reads what is kept, managed fields and all.
func searchStore(t *testing.T, endpoint string) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stored, err := client.Get(t.Context(), "/registry/", clientv3.WithPrefix())
	if err != nil || len(stored.Kvs) < 20 {
		t.Fatalf("read %v, %v", stored, err)
	}
	for _, object := range stored.Kvs {
		if bytes.Contains(object.Value, []byte("__internal")) {
			t.Errorf("%s is stored as %q", object.Key, object.Value)
		}
	}
}

func read(t *testing.T, client kubernetes.Interface, path, accepted string) []byte {
	t.Helper()
	content, err := client.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", accepted).DoRaw(t.Context())
	if err != nil {
		t.Fatalf("%s as %s: %v", path, accepted, err)
	}
	if len(content) == 0 {
		t.Errorf("%s as %s is empty", path, accepted)
	}
	return content
}
