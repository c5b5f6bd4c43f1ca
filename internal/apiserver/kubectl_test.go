package apiserver_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coxswain.dev/cox/internal/apiserver/apitest"
)

// commandLimit ends a kubectl that hangs.
const commandLimit = 60 * time.Second

// kubectl is a stock kubectl talking over TLS to one server.
type kubectl struct {
	t          *testing.T
	kubeconfig string
	dir        string
}

func newKubectl(t *testing.T, server *apitest.Server) *kubectl {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatalf("these tests need a kubectl on the PATH: %v", err)
	}
	return &kubectl{t: t, kubeconfig: server.Kubeconfig(t), dir: t.TempDir()}
}

// run returns what kubectl prints to both outputs, and its error.
func (k *kubectl) run(arguments ...string) (string, error) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), commandLimit)
	defer cancel()
	command := exec.CommandContext(ctx, "kubectl", arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.dir, "KUBE_EDITOR=sed -i s/blue/green/", "KUBECTL_EXTERNAL_DIFF=diff -u")
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// must runs a command that has to succeed.
func (k *kubectl) must(arguments ...string) string {
	k.t.Helper()
	out, err := k.run(arguments...)
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

// fails runs a command that has to fail.
func (k *kubectl) fails(arguments ...string) string {
	k.t.Helper()
	out, err := k.run(arguments...)
	if err == nil {
		k.t.Fatalf("kubectl %s succeeded:\n%s", strings.Join(arguments, " "), out)
	}
	return out
}

// file writes a manifest and returns its path.
func (k *kubectl) file(name, content string) string {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func contains(t *testing.T, got string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

const colours = `apiVersion: v1
kind: ConfigMap
metadata: {name: colours, labels: {kind: paint}}
data: {wall: blue, door: red}
`

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
`

func TestKubectlWritesAndReads(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	manifest := k.file("colours.yaml", colours)

	contains(t, k.must("create", "-f", manifest, "--dry-run=server"), "configmap/colours created (server dry run)")
	contains(t, k.fails("get", "cm", "colours"), `Error from server (NotFound): configmaps "colours" not found`)
	contains(t, k.must("create", "-f", manifest), "configmap/colours created")
	contains(t, k.fails("create", "-f", manifest), `configmaps "colours" already exists`)
	contains(t, k.must("edit", "cm", "colours"), "configmap/colours edited")
	contains(t, k.must("get", "cm", "colours", "-o", "jsonpath={.data.wall}"), "green")
	contains(t, k.must("replace", "-f", manifest), "configmap/colours replaced")
	contains(t, k.must("get", "cm", "-l", "kind=paint"), "NAME", "DATA", "AGE", "colours   2")
	contains(t, k.must("get", "cm", "--field-selector", "metadata.name=colours", "-o", "name"), "configmap/colours")
	contains(t, k.must("label", "cm", "colours", "kind-"), "unlabeled")
	contains(t, k.must("annotate", "cm", "colours", "by=me"), "annotated")
	contains(t, k.must("describe", "cm", "colours"), "Name:         colours", "by: me")
	contains(t, k.must("delete", "cm", "colours"), `configmap "colours" deleted`)
}

func TestKubectlMakesIngresses(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	contains(t, k.must("create", "ingress", "shop", "--class=coxswain", "--rule=shop.example/*=web:80,tls=cert", "--rule=*.shop.example/x=web:http", "--default-backend=web:80"),
		"ingress.networking.k8s.io/shop created")
	contains(t, k.must("get", "ing"), "NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE", "coxswain", "shop.example,*.shop.example", "80, 443")
	contains(t, k.must("describe", "ing", "shop"), "Ingress Class:    coxswain", "Default backend:  web:80", "cert terminates shop.example", "/x   web:http")
	contains(t, k.must("get", "netpol,ingressclass", "-A"), "No resources found")
	contains(t, k.must("explain", "networkpolicy.spec.egress.to.ipBlock"), "except", "cidr")
}

func TestKubectlMakesDisruptionBudgets(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	contains(t, k.must("create", "pdb", "web", "--selector=app=web", "--min-available=50%"), "poddisruptionbudget.policy/web created")
	contains(t, k.must("create", "poddisruptionbudget", "db", "--selector=app in (db,cache)", "--max-unavailable=1"), "poddisruptionbudget.policy/db created")
	contains(t, k.must("get", "pdb"), "NAME   MIN AVAILABLE   MAX UNAVAILABLE   ALLOWED DISRUPTIONS   AGE", "db     N/A             1                 0", "web    50%             N/A               0")
	contains(t, k.must("describe", "pdb", "web"), "Name:           web", "Min available:  50%", "Selector:       app=web", "Allowed disruptions:  0")
	contains(t, k.must("explain", "pdb.spec.unhealthyPodEvictionPolicy"), "AlwaysAllow", "IfHealthyBudget")
	manifest := k.file("pdb.yaml", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}\n")
	contains(t, k.must("replace", "-f", manifest), "poddisruptionbudget.policy/web replaced")
	contains(t, k.fails("create", "pdb", "x", "--selector=app=web", "--min-available=101%"), "spec.minAvailable", "must not be greater than 100%")
	contains(t, k.must("apply", "--server-side", "--force-conflicts", "-f", manifest), "poddisruptionbudget.policy/web serverside-applied")
}

func TestKubectlApplies(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	before := k.file("web.yaml", web)
	after := k.file("web3.yaml", strings.Replace(web, "replicas: 2", "replicas: 3", 1))

	contains(t, k.must("apply", "-f", before), "deployment.apps/web created")
	contains(t, k.must("apply", "-f", before), "deployment.apps/web unchanged")
	contains(t, k.fails("diff", "-f", after), "-  replicas: 2", "+  replicas: 3")
	contains(t, k.must("apply", "-f", after, "--dry-run=server"), "deployment.apps/web configured (server dry run)")
	contains(t, k.must("diff", "-f", before), "")
	contains(t, k.must("apply", "-f", after), "deployment.apps/web configured")
	contains(t, k.must("apply", "--server-side", "--force-conflicts", "-f", before), "deployment.apps/web serverside-applied")
	contains(t, k.must("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"), "2")
	contains(t, k.fails("apply", "--server-side", "--field-manager=other", "-f", after),
		`Apply failed with 1 conflict`, `conflict with "kubectl"`, `.spec.replicas`)
	contains(t, k.must("get", "deploy", "web", "--show-managed-fields", "-o", "yaml"), "operation: Apply", "f:replicas: {}")
}

func TestKubectlPatches(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	k.must("create", "-f", k.file("web.yaml", web))
	replicas := func() string { return k.must("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") }
	images := func() string {
		return k.must("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[*].image}")
	}

	k.must("patch", "deploy", "web", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}`)
	if got := images(); got != "busybox nginx" && got != "nginx busybox" {
		t.Errorf("a strategic patch did not merge by name: %q", got)
	}
	k.must("patch", "deploy", "web", "--type=merge", "-p", `{"spec":{"replicas":4,"template":{"spec":{"containers":[{"name":"only","image":"one"}]}}}}`)
	if got := images(); got != "one" || replicas() != "4" {
		t.Errorf("a merge patch did not replace the list: %q, %s replicas", got, replicas())
	}
	k.must("patch", "deploy", "web", "--type=json", "-p", `[{"op":"test","path":"/spec/replicas","value":4},{"op":"replace","path":"/spec/replicas","value":5}]`)
	if got := replicas(); got != "5" {
		t.Errorf("after a JSON patch %s replicas", got)
	}
	contains(t, k.fails("patch", "deploy", "web", "--type=json", "-p", `[{"op":"test","path":"/spec/replicas","value":4}]`), "the server rejected our request due to an error in our request")
	contains(t, k.must("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", `{"status":{"observedGeneration":7},"spec":{"replicas":9}}`), "patched")
	if got := k.must("get", "deploy", "web", "-o", "jsonpath={.status.observedGeneration} {.spec.replicas}"); got != "7 5" {
		t.Errorf("a patch of the status changed %q", got)
	}
}

func TestKubectlIsToldWhichFieldWasMeant(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	wrong := strings.Replace(web, "  replicas: 2\n", "  processDeadlineSeconds: 9\n  strategy: {rollingUpdate: {maxUnavaliable: 1}}\n", 1)
	manifest := k.file("wrong.yaml", wrong)
	meant := []string{`unknown field "spec.processDeadlineSeconds" (did you mean "progressDeadlineSeconds"?)`,
		`unknown field "spec.strategy.rollingUpdate.maxUnavaliable" (did you mean "maxUnavailable"?)`}

	contains(t, k.fails("create", "-f", manifest), append(meant, "Error from server (BadRequest)", `Deployment in version "v1" cannot be handled as a Deployment: strict decoding error`)...)
	contains(t, k.must("create", "--validate=warn", "-f", manifest, "--dry-run=server"), "Warning: "+meant[0], "Warning: "+meant[1])
	contains(t, k.must("create", "--validate=ignore", "-f", manifest, "--dry-run=server"), "created (server dry run)")
	contains(t, k.fails("apply", "--server-side", "-f", manifest), `.spec.processDeadlineSeconds: field not declared in schema (did you mean "progressDeadlineSeconds"?)`)
	k.must("apply", "-f", k.file("web.yaml", web))
	contains(t, k.fails("apply", "-f", manifest), meant...)
	contains(t, k.must("patch", "deploy", "web", "-p", `{"spec":{"replica":3}}`), `Warning: unknown field "spec.replica" (did you mean "replicas"?)`)
}

func TestKubectlDiscovers(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	contains(t, k.must("version"), "Server Version: v1.37.2+cox")
	contains(t, k.must("api-versions"), "apps/v1", "v1", "rbac.authorization.k8s.io/v1")
	contains(t, k.must("api-resources"), "deployments", "deploy", "apps/v1", "Deployment")
	contains(t, k.must("api-resources", "--verbs=list,watch", "--namespaced=false", "-o", "name"), "namespaces", "nodes", "clusterroles.rbac.authorization.k8s.io")
	contains(t, k.must("explain", "deployment.spec.strategy.rollingUpdate.maxSurge"), "GROUP:      apps", "KIND:       Deployment", "FIELD: maxSurge <IntOrString>")
	contains(t, k.must("explain", "pod.spec.containers", "--recursive"), "imagePullPolicy", "enum: Always, IfNotPresent, Never")
	contains(t, k.must("explain", "deploy", "--output=plaintext-openapiv2"), "DESCRIPTION:", "Deployment enables declarative updates for Pods and ReplicaSets.")
	contains(t, k.must("get", "--raw", "/healthz"), "ok")
	contains(t, k.must("get", "--raw", "/readyz?verbose"), "[+]etcd ok", "readyz check passed")
	contains(t, k.must("get", "--raw", "/apis/apps/v1"), `"kind":"APIResourceList"`, `"name":"deployments/scale"`)
}

func TestKubectlAsksWhoMay(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	contains(t, k.must("auth", "whoami"), "Username", "admin", "[system:masters system:authenticated]")
	contains(t, k.must("auth", "can-i", "delete", "nodes"), "yes")
	contains(t, k.fails("auth", "can-i", "create", "pods", "--as=bob"), "no")
	contains(t, k.must("auth", "can-i", "--list", "--as=bob"), "selfsubjectaccessreviews.authorization.k8s.io", "[/healthz]")
	contains(t, k.fails("get", "pods", "--as=bob"), `Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"`)
	k.must("create", "rolebinding", "bob-edits", "--clusterrole=edit", "--user=bob")
	contains(t, k.must("get", "rolebinding", "bob-edits", "-o", "wide"), "ROLE", "USERS", "ClusterRole/edit", "bob")
	eventually(t, "bob may list Pods", func() bool {
		out, err := k.run("get", "pods", "--as=bob")
		return err == nil && strings.Contains(out, "No resources found")
	})
	contains(t, k.fails("get", "pods", "-n", "kube-system", "--as=bob"), "forbidden")
}

func TestKubectlWatches(t *testing.T) {
	k := newKubectl(t, apitest.Start(t))
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	watch := exec.CommandContext(ctx, "kubectl", "get", "cm", "--watch-only", "-o", "name")
	watch.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.dir)
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { watch.Process.Kill(); watch.Wait() }()
	seen := make(chan string)
	go func() {
		line := make([]byte, 1<<10)
		n, _ := out.Read(line)
		seen <- string(line[:n])
	}()
	// A watch has no sign that it has begun: new objects until one is seen.
	for i := 0; ; i++ {
		k.must("create", "cm", "watched-"+string(rune('a'+i)))
		select {
		case line := <-seen:
			contains(t, line, "configmap/watched-")
			return
		case <-time.After(200 * time.Millisecond):
		}
		if i == 20 {
			t.Fatal("the watch showed nothing")
		}
	}
}

// eventually waits until a condition holds, which must be soon.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitClosed waits until a channel is closed.
func awaitClosed(t *testing.T, what string, closed <-chan struct{}) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
}
