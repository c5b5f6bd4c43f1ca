package traffic

import (
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"coxswain.dev/cox/test/harness"
)

// duration is how long requests are sent: short for a test, as long as wanted
// for a soak.
var duration = flag.Duration("traffic", 40*time.Second, "how long to send requests while the Deployment changes")

// compared is how long they are sent with the order switched off.
const compared = 12 * time.Second

// rate is of new connections, for each way.
const rate = 200

// startService starts an instance with the sample application as a Service of
// every kind, and returns the ways into it.
func startService(t *testing.T, flags ...string) (*harness.Instance, []Way) {
	t.Helper()
	instance := harness.New(t, append([]string{"--registry-mirror=docker.io=http://127.0.0.1:5000"}, flags...)...)
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("scale", "deployment", "http-go", "--replicas=4")
	instance.Kubectl("expose", "deployment", "http-go", "--type=LoadBalancer", "--port=8088", "--target-port=8080")
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	instance.Kubectl("wait", "service/http-go", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=30s")
	field := func(path string) string {
		return instance.Kubectl("get", "service", "http-go", "-o", "jsonpath={"+path+"}")
	}
	cluster := field(".spec.clusterIP") + ":8088"
	balanced := field(".status.loadBalancer.ingress[0].ip")
	ways := []Way{
		{Name: "ClusterIP, new connections", Address: cluster, PerSecond: rate},
		{Name: "NodePort, new connections", Address: balanced + ":" + field(".spec.ports[0].nodePort"), PerSecond: rate},
		{Name: "LoadBalancer, new connections", Address: balanced + ":8088", PerSecond: rate},
		{Name: "ClusterIP, kept and idle", Address: cluster, Clients: 8, Pause: 700 * time.Millisecond},
		{Name: "ClusterIP, kept and busy", Address: cluster, Clients: 4, Pause: 10 * time.Millisecond},
	}
	for _, way := range ways {
		awaitAnswer(t, instance, way.Address)
	}
	return instance, ways
}

// awaitAnswer waits until a way answers for the first time.
func awaitAnswer(t *testing.T, instance *harness.Instance, address string) {
	t.Helper()
	script := fmt.Sprintf("curl -sf --retry 100 --retry-delay 0 --retry-max-time 20 --retry-all-errors http://%s", address)
	if result := instance.Shell(script); result.Code != 0 || !strings.HasPrefix(result.Stdout, "Welcome!") {
		t.Fatalf("%s does not answer: %q %s", address, result.Stdout, result.Stderr)
	}
}

// changes are what happens to the Deployment, again and again.
var changes = []struct {
	name string
	make func(*harness.Instance)
}{
	{"update", func(i *harness.Instance) {
		i.Kubectl("set", "image", "deployment/http-go", "http-go=gasbugs/http-go:v2")
	}},
	{"scale up", func(i *harness.Instance) { i.Kubectl("scale", "deployment", "http-go", "--replicas=7") }},
	{"roll back", func(i *harness.Instance) { i.Kubectl("rollout", "undo", "deployment/http-go") }},
	{"scale down", func(i *harness.Instance) { i.Kubectl("scale", "deployment", "http-go", "--replicas=3") }},
	{"restart", func(i *harness.Instance) { i.Kubectl("rollout", "restart", "deployment/http-go") }},
	{"kill cox in an update", func(i *harness.Instance) {
		i.Kubectl("set", "image", "deployment/http-go", "http-go=gasbugs/http-go:v3")
		i.Signal(syscall.SIGKILL)
		i.Up()
	}},
	{"delete a Pod", func(i *harness.Instance) {
		names := strings.Fields(i.Kubectl("get", "pods", "-l", "app=http-go", "-o", "name"))
		i.Kubectl("delete", names[0], "--wait=false", "--ignore-not-found")
	}},
}

// phase is a change that began then.
type phase struct {
	name  string
	began time.Time
}

// change changes the Deployment for a time, and returns what it did.
func change(instance *harness.Instance, limit time.Duration, killing bool) (phases []phase) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		for _, c := range changes {
			if strings.HasPrefix(c.name, "kill") && !killing {
				continue
			}
			phases = append(phases, phase{c.name, time.Now()})
			c.make(instance)
			instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
			if time.Now().After(end) {
				break
			}
		}
	}
	return phases
}

// losses says in which phase each failed request began, and how far into it.
func losses(reports []Report, phases []phase) string {
	var text strings.Builder
	for _, r := range reports {
		for _, loss := range r.Lost {
			during, since := "before", time.Duration(0)
			for _, p := range phases {
				if !p.began.After(loss.Began) {
					during, since = p.name, loss.Began.Sub(p.began)
				}
			}
			fmt.Fprintf(&text, "%s: %s, from %s, %s after the beginning of: %s\n", r.Name, loss.Kind, loss.From, since.Round(time.Millisecond), during)
		}
	}
	return text.String()
}

func TestNoNewConnectionFails(t *testing.T) {
	instance, ways := startService(t)
	finish := begin(t, instance, ways)
	phases := change(instance, *duration, true)
	reports := finish()
	t.Logf("%d changes\n%s%s", len(phases), table(reports), losses(reports, phases))
	for _, r := range reports {
		if strings.HasSuffix(r.Name, "new connections") && (r.Failed() > 0 || r.Answers == 0) {
			t.Errorf("%s: %d failed of %d", r.Name, r.Failed(), r.Failed()+r.Answers)
		}
	}
}

// The same load must fail where Pods are stopped without asking: else it would
// not show that the order is what helps.
func TestWithoutTheOrderConnectionsFail(t *testing.T) {
	instance, ways := startService(t, "--stop-at-once")
	finish := begin(t, instance, ways)
	phases := change(instance, compared, false)
	reports := finish()
	t.Logf("%d changes, with the order switched off\n%s", len(phases), table(reports))
	failed := 0
	for _, r := range reports {
		if strings.HasSuffix(r.Name, "new connections") {
			failed += r.Failed()
		}
	}
	if failed == 0 {
		t.Error("nothing failed: this load shows nothing")
	}
}
