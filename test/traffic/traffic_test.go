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
var duration = flag.Duration("traffic", time.Minute, "how long to send requests while the Deployment changes")

// compared is how long they are sent with the order switched off, and again up
// to comparisons times until one fails: how often depends on the machine.
const (
	compared    = 12 * time.Second
	comparisons = 10
)

// rate is of new connections of HTTP, for each way; echoRate of those of other
// protocols.
const (
	rate     = 200
	echoRate = 25
)

// nameserver answers for the names of Services.
const nameserver = "10.244.0.1:53"

// startService starts an instance with the sample application as a Service of
// every kind, and returns the ways into it.
func startService(t *testing.T, flags ...string) (*harness.Instance, []Way) {
	t.Helper()
	instance := harness.New(t, append([]string{"--registry-mirror=docker.io=http://127.0.0.1:5000"}, flags...)...)
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("set", "env", "deployment/http-go", "ECHO=:8081")
	instance.Kubectl("scale", "deployment", "http-go", "--replicas=4")
	instance.Apply(service)
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	instance.Kubectl("expose", "deployment", "http-go", "--name=by-name", "--cluster-ip=None", "--port=8080")
	instance.Kubectl("wait", "service/http-go", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=30s")
	field := func(path string) string {
		return instance.Kubectl("get", "service", "http-go", "-o", "jsonpath={"+path+"}")
	}
	balanced := field(".status.loadBalancer.ingress[0].ip")
	addresses := []struct{ name, web, echo string }{
		{"ClusterIP", field(".spec.clusterIP") + ":8088", field(".spec.clusterIP") + ":8089"},
		{"NodePort", balanced + ":" + field(".spec.ports[0].nodePort"), balanced + ":" + field(".spec.ports[1].nodePort")},
		{"LoadBalancer", balanced + ":8088", balanced + ":8089"},
	}
	var ways []Way
	for _, a := range addresses {
		awaitAnswer(t, instance, a.web)
		ways = append(ways, Way{Name: a.name + ", new connections", Address: a.web, PerSecond: rate})
	}
	ways = append(ways, Way{Name: "headless, new connections", Address: "by-name.default.svc.cluster.local.:8080", Nameserver: nameserver, PerSecond: rate / 2})
	for _, a := range addresses {
		ways = append(ways,
			Way{Name: a.name + ", TCP echo, new connections", Protocol: TCP, Address: a.echo, PerSecond: echoRate},
			Way{Name: a.name + ", UDP echo, new clients", Protocol: UDP, Address: a.echo, PerSecond: echoRate},
			Way{Name: a.name + ", HTTP/2, kept and busy", Protocol: HTTP2, Address: a.web, Clients: 2, Pause: 20 * time.Millisecond})
	}
	ways = append(ways,
		Way{Name: "ClusterIP, kept and idle", Address: addresses[0].web, Clients: 8, Pause: 700 * time.Millisecond},
		Way{Name: "ClusterIP, kept and busy", Address: addresses[0].web, Clients: 4, Pause: 10 * time.Millisecond},
		Way{Name: "ClusterIP, TCP echo, kept and busy", Protocol: TCP, Address: addresses[0].echo, Clients: 2, Pause: 20 * time.Millisecond},
		Way{Name: "ClusterIP, UDP echo, kept and busy", Protocol: UDP, Address: addresses[0].echo, Clients: 2, Pause: 20 * time.Millisecond})
	return instance, ways
}

// service leads to the sample application by every way and protocol.
const service = `
apiVersion: v1
kind: Service
metadata: {name: http-go}
spec:
  type: LoadBalancer
  selector: {app: http-go}
  ports:
  - {name: web, port: 8088, targetPort: 8080}
  - {name: echo, port: 8089, targetPort: 8081, nodePort: 31089}
  - {name: echo-udp, port: 8089, targetPort: 8081, nodePort: 31089, protocol: UDP}
`

// isNew tells whether a way is of new connections, none of which may fail.
func isNew(r Report) bool {
	return strings.HasSuffix(r.Name, "new connections") || strings.HasSuffix(r.Name, "new clients")
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
	{"delete a Pod", func(i *harness.Instance) { i.Kubectl("delete", "pod", onePod(i), "--wait=false") }},
	{"kill cox while a Pod waits for its connections", func(i *harness.Instance) {
		i.Kubectl("delete", "pod", onePod(i), "--wait=false")
		i.Signal(syscall.SIGKILL)
		i.Up()
	}},
	{"evict a Pod", func(i *harness.Instance) {
		pod := onePod(i)
		eviction := fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q}}`, pod)
		script := fmt.Sprintf("echo '%s' | kubectl create --raw /api/v1/namespaces/default/pods/%s/eviction -f -", eviction, pod)
		if result := i.Shell(script); result.Code != 0 {
			panic(script + ": " + result.Stderr)
		}
	}},
}

// onePod is the name of a Pod that serves.
func onePod(i *harness.Instance) string {
	names := i.Kubectl("get", "pods", "-l", "app=http-go", "-o", `jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.deletionTimestamp}/{.metadata.name} {end}`)
	for _, name := range strings.Fields(names) {
		if name, serves := strings.CutPrefix(name, "/"); serves {
			return name
		}
	}
	panic("no Pod serves: " + names)
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
			fmt.Fprintf(&text, "%s: %s, from %q, at %s (%s after the beginning of: %s), for %s\n", r.Name, loss.Kind, loss.From,
				loss.Began.Format("15:04:05.000"), since.Round(time.Millisecond), during, loss.Took.Round(time.Millisecond))
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
		if isNew(r) && (r.Failed() > 0 || r.Answers == 0) {
			t.Errorf("%s: %d failed of %d", r.Name, r.Failed(), r.Failed()+r.Answers)
		}
	}
}

// The same load must fail where Pods are stopped without asking: else it would
// not show that the order is what helps.
func TestWithoutTheOrderConnectionsFail(t *testing.T) {
	instance, ways := startService(t, "--stop-at-once")
	for range comparisons {
		finish := begin(t, instance, ways)
		phases := change(instance, compared, false)
		reports := finish()
		t.Logf("%d changes, with the order switched off\n%s", len(phases), table(reports))
		for _, r := range reports {
			if isNew(r) && r.Failed() > 0 {
				return
			}
		}
	}
	t.Error("nothing failed: this load shows nothing")
}
