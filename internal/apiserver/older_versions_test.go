package apiserver_test

import (
	"strings"
	"testing"
	"time"

	appsv1beta1 "k8s.io/api/apps/v1beta1"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver/apitest"
)

// older are manifests as they were written before apps/v1, from the oldest.
var older = []struct{ version, deprecated, manifest string }{
	{"extensions/v1beta1", "v1.8+", `apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: nginx-deployment}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: nginx, image: "nginx:1.7.9", ports: [{containerPort: 80}]}]}
`},
	{"apps/v1beta1", "v1.8+", `apiVersion: apps/v1beta1
kind: Deployment
metadata: {name: nginx-deployment}
spec:
  replicas: 3
  rollbackTo: {revision: 1}
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: nginx, image: "nginx:1.7.9", ports: [{containerPort: 80}]}]}
`},
	{"apps/v1beta2", "v1.9+", `apiVersion: apps/v1beta2
kind: Deployment
metadata: {name: nginx-deployment}
spec:
  replicas: 3
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec: {containers: [{name: nginx, image: "nginx:1.7.9", ports: [{containerPort: 80}]}]}
`},
}

func TestKubectlTakesManifestsOfOlderVersions(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	for _, old := range older {
		t.Run(old.version, func(t *testing.T) {
			k := *k
			k.t = t
			path := k.file("old.yaml", old.manifest)
			warning := "Warning: " + old.version + " Deployment is deprecated in " + old.deprecated + ", unavailable in v1.16+; use apps/v1 Deployment\n"
			group := strings.Split(old.version, "/")[0]
			contains(t, k.must("create", "-f", path), warning, "deployment."+group+"/nginx-deployment created\n")
			contains(t, k.must("get", "deployments.v1.apps", "nginx-deployment", "-o", "yaml"), "apiVersion: apps/v1\n", "replicas: 3\n")
			contains(t, k.must("delete", "-f", path), warning, `"nginx-deployment" deleted`)

			contains(t, k.must("apply", "-f", path), warning, " created\n")
			contains(t, k.must("apply", "-f", path), " unchanged\n")
			if diff := k.must("diff", "-f", path); diff != warning {
				t.Errorf("the same differs:\n%s", diff)
			}
			contains(t, k.must("apply", "--server-side", "--force-conflicts", "-f", path), "serverside-applied")
			contains(t, k.must("scale", "-f", path, "--replicas=2"), " scaled\n")
			contains(t, k.must("set", "image", "-f", path, "nginx=nginx:2"), "image updated\n")
			contains(t, k.must("get", "-f", path, "-o", "wide"), "READY", "0/2", "nginx:2")
			contains(t, k.must("rollout", "pause", "-f", path), " paused\n")
			contains(t, k.must("replace", "-f", path), " replaced\n")
			contains(t, k.must("explain", "deployment.spec.progressDeadlineSeconds", "--api-version="+old.version), "VERSION:    "+old.version[len(group)+1:], "FIELD: progressDeadlineSeconds <integer>")
			contains(t, k.must("explain", "deployment.spec", "--api-version="+old.version, "--output=plaintext-openapiv2"), "VERSION:  "+old.version, "progressDeadlineSeconds\t<integer>")
			// It goes on as apps/v1.
			moved := k.file("new.yaml", strings.ReplaceAll(strings.ReplaceAll(k.must("get", "deploy", "nginx-deployment", "-o", "yaml"), "nginx:1.7.9", "nginx:3"), "  resourceVersion:", "  # resourceVersion:"))
			contains(t, k.must("apply", "-f", moved), "deployment.apps/nginx-deployment configured\n")
			contains(t, k.must("delete", "--all", "deploy"), `deployment.apps "nginx-deployment" deleted`)

			bad := k.file("bad.yaml", strings.Replace(old.manifest, "replicas:", "replica:", 1))
			contains(t, k.fails("create", "-f", bad), `unknown field "spec.replica" (did you mean "replicas"?)`)
		})
	}
}

// What is not asked for by an older version is what it was.
func TestKubectlPrefersTheNewestVersion(t *testing.T) {
	server := apitest.Start(t)
	k, client := newKubectl(t, server), server.Client(t)
	k.must("create", "-f", k.file("old.yaml", older[0].manifest))
	for _, name := range []string{"deploy", "deployment", "deployments", "deployments.apps", "deploy/nginx-deployment", "all"} {
		if got := k.must("get", name, "-o", "name"); strings.TrimPrefix(got, "service/kubernetes\n") != "deployment.apps/nginx-deployment\n" {
			t.Errorf("kubectl get %s shows %q", name, got)
		}
	}
	if got := k.must("get", "deploy", "-o", "jsonpath={.items[*].apiVersion}"); got != "apps/v1" {
		t.Errorf("it is shown as %s", got)
	}
	if got := k.must("explain", "deployment"); !strings.HasPrefix(got, "GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n") {
		t.Errorf("explained is\n%s", got)
	}
	contains(t, k.must("get", "--raw", "/apis/apps"), `"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}`)
	contains(t, k.must("api-versions"), "apps/v1\n", "apps/v1beta1\n", "apps/v1beta2\n", "extensions/v1beta1\n")
	for _, accepted := range []string{"application/json", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"} {
		groups := string(read(t, client, "/apis", accepted))
		if last := strings.LastIndex(groups, `"name":"`); !strings.HasPrefix(groups[last:], `"name":"extensions"`) {
			t.Errorf("the last group is %.40s", groups[last:])
		}
	}
}

// Rights are given by group: extensions is one of its own.
func TestRightsInOlderGroupsAreTheirOwn(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	k.must("create", "role", "apps-only", "--verb=create", "--resource=deployments.apps")
	k.must("create", "rolebinding", "jane", "--role=apps-only", "--user=jane")
	k.must("create", "rolebinding", "joe", "--clusterrole=edit", "--user=joe")
	k.must("create", "rolebinding", "jim", "--clusterrole=view", "--user=jim")
	eventually(t, "their rights are known", func() bool {
		_, jane := k.run("auth", "can-i", "create", "deployments.apps", "--as=jane")
		_, joe := k.run("auth", "can-i", "create", "deployments.extensions", "--as=joe")
		_, jim := k.run("auth", "can-i", "get", "deployments.extensions", "--as=jim")
		return jane == nil && joe == nil && jim == nil
	})
	for _, old := range older {
		path := k.file("old.yaml", old.manifest)
		if old.version != "extensions/v1beta1" {
			contains(t, k.must("create", "-f", path, "--dry-run=server", "--as=jane"), " created (server dry run)\n")
		} else {
			contains(t, k.fails("create", "-f", path, "--as=jane"), `deployments.extensions is forbidden: User "jane" cannot create resource "deployments" in API group "extensions" in the namespace "default"`)
		}
		contains(t, k.must("create", "-f", path, "--as=joe"), " created\n")
		contains(t, k.must("get", "-f", path, "--as=jim"), "nginx-deployment ")
		contains(t, k.fails("delete", "-f", path, "--as=jim"), "is forbidden: User \"jim\" cannot delete resource \"deployments\"")
		k.must("delete", "-f", path, "--as=joe")
	}
}

// Clients of old speak protobuf, too, and watch.
func TestOlderVersionsAreWatchedInEveryEncoding(t *testing.T) {
	server := apitest.Start(t)
	for _, encoding := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		config := rest.CopyConfig(server.Admin())
		config.ContentType, config.AcceptContentTypes = encoding, encoding
		client := clientOf(t, config)
		seen, err := client.ExtensionsV1beta1().Deployments("default").Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer seen.Stop()
		d := &appsv1beta1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1beta1.DeploymentSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}}}
		if _, err := client.AppsV1beta1().Deployments("default").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		now := metav1.DeletePropagationBackground
		if err := client.AppsV1beta2().Deployments("default").DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: &now}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
			select {
			case event := <-seen.ResultChan():
				shown, ok := event.Object.(*extensionsv1beta1.Deployment)
				if !ok || event.Type != want || shown.Name != "web" || *shown.Spec.RevisionHistoryLimit != 2 {
					t.Errorf("%s: %s of %+v, want %s of the Deployment", encoding, event.Type, event.Object, want)
				}
			case <-time.After(commandLimit):
				t.Fatalf("%s: nothing was seen, want %s", encoding, want)
			}
		}
	}
}
