package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/usage"
)

// meters are nodes whose agents tell what they use.
type meters map[string]*usage.Summary

func (m meters) Node(name string) (http.Handler, error) {
	summary, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("no agent serves node %q", name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if summary == nil || r.URL.Path != usage.Path {
			http.Error(w, "the container runtime does not answer", http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(summary)
	}), nil
}

// uses is a reading: so many thousandths of a core and so many MiB.
func uses(name string, milli, mebibytes uint64) usage.Container {
	at, rate := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), milli*1e6
	return usage.Container{
		Name:   name,
		CPU:    &usage.CPU{Time: at, UsageNanoCores: &rate, Window: 15 * time.Second},
		Memory: &usage.Memory{Time: at, WorkingSetBytes: mebibytes << 20},
	}
}

// startMetered has the nodes here, broken and elsewhere, which has no agent, and
// a Pod of its name on each, and the Pod idle here.
func startMetered(t *testing.T) (*apitest.Server, *usage.Summary) {
	t.Helper()
	here := &usage.Summary{}
	server := apitest.Start(t, apitest.WithConfig(func(c *apiserver.Config) { c.Nodes = meters{"here": here, "broken": nil} }))
	client := server.Client(t)
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"here", "broken", "elsewhere"} {
		node, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		node.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}
		node.Status.Allocatable = node.Status.Capacity
		if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	machine := uses("", 500, 256)
	here.Node = usage.Node{Name: "here", CPU: machine.CPU, Memory: machine.Memory}
	for name, node := range map[string]string{"web": "here", "idle": "here", "broken": "broken", "elsewhere": "elsewhere"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		pod, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod.Status.Phase = corev1.PodRunning
		if _, err := client.CoreV1().Pods("default").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		told := usage.Pod{Ref: usage.PodRef{Name: name, Namespace: "default", UID: string(pod.UID)}}
		switch name {
		case "web":
			told.Containers = []usage.Container{uses("c", 250, 10), uses("side", 7, 90)}
		case "idle":
			told.Containers = []usage.Container{uses("c", 1, 200)}
		}
		here.Pods = append(here.Pods, told)
	}
	return server, here
}

// table is what kubectl prints but its warnings, with one blank between columns.
func table(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "Warning: ") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestKubectlTopTellsWhatIsUsed(t *testing.T) {
	server, here := startMetered(t)
	k := newKubectl(t, server)
	for _, test := range []struct{ command, want string }{
		{"top pod", "NAME CPU(cores) MEMORY(bytes)\nidle 1m 200Mi\nweb 257m 100Mi"},
		{"top pod --sort-by=cpu", "NAME CPU(cores) MEMORY(bytes)\nweb 257m 100Mi\nidle 1m 200Mi"},
		{"top pod --containers -l app=web", "POD NAME CPU(cores) MEMORY(bytes)\nweb c 250m 10Mi\nweb side 7m 90Mi"},
		{"top pod web --no-headers", "web 257m 100Mi"},
		{"top pod -A --field-selector metadata.name=idle", "NAMESPACE NAME CPU(cores) MEMORY(bytes)\ndefault idle 1m 200Mi"},
		{"top node here", "NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)\nhere 500m 25% 256Mi 25%"},
		{"get podmetrics web", "NAME CPU MEMORY WINDOW\nweb 257m 100Mi 15s"},
		{"get nodes.metrics.k8s.io", "NAME CPU MEMORY WINDOW\nhere 500m 256Mi 15s"},
		{"get podmetrics web -o jsonpath={.timestamp}/{.window}/{.containers[1].usage.cpu}/{.metadata.labels.app}", "2026-01-01T12:00:00Z/15s/7m/web"},
	} {
		if got := table(k.must(strings.Fields(test.command)...)); got != test.want {
			t.Errorf("kubectl %s:\n%s\nwant\n%s", test.command, got, test.want)
		}
	}
	lines := strings.Split(table(k.must("top", "node")), "\n")
	if len(lines) != 4 || !slices.Contains(lines, "elsewhere <unknown> <unknown> <unknown> <unknown>") || !slices.Contains(lines, "broken <unknown> <unknown> <unknown> <unknown>") {
		t.Errorf("kubectl top node: %q", lines)
	}
	why := k.fails("top", "pod", "broken")
	contains(t, why, `podmetrics.metrics.k8s.io "default/broken" not found`)
	contains(t, why, "Warning: asking node broken what it uses: 500 the container runtime does not answer")
	contains(t, k.fails("top", "pod", "ghost"), `pods "ghost" not found`)
	contains(t, k.fails("top", "node", "elsewhere"), `nodemetrics.metrics.k8s.io "elsewhere" not found`)
	contains(t, k.fails("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/ghost"), `nodes "ghost" not found`)
	// A Pod of which a part is not known is not told of, and one that was made
	// anew is another one.
	here.Pods[slices.IndexFunc(here.Pods, func(p usage.Pod) bool { return p.Ref.Name == "web" })].Containers[0].CPU.UsageNanoCores = nil
	here.Pods[slices.IndexFunc(here.Pods, func(p usage.Pod) bool { return p.Ref.Name == "idle" })].Ref.UID = "another"
	if got := table(k.must("get", "podmetrics", "-o", "name")); got != "" {
		t.Errorf("told of %q", got)
	}
}

func TestWhoMayViewMaySeeWhatIsUsed(t *testing.T) {
	server, _ := startMetered(t)
	k := newKubectl(t, server)
	k.must("create", "rolebinding", "viewer", "--clusterrole=view", "--user=eve")
	contains(t, k.must("top", "pod", "--as=eve"), "web")
	contains(t, k.fails("top", "pod", "-A", "--as=eve"), "forbidden")
	contains(t, k.fails("delete", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web"), "the server does not allow this method")
}
