package agent

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"archive/tar"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/cri"
	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/routing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// deadline bounds every wait of these tests on a loaded machine.
const deadline = 60 * time.Second

// node is an API, an engine and an agent that all tests share.
type node struct {
	client   kubernetes.Interface
	engine   *cri.Engine
	registry string // host:port
	dir      string
	router   *recordingRouter

	agent *Agent
	stop  func()
	log   *slog.Logger // nil for the tests' own
}

var shared struct {
	once sync.Once
	node *node
}

// theNode starts the node for the first test that asks.
func theNode(t testing.TB) *node {
	t.Helper()
	shared.once.Do(func() { shared.node = startNode(t) })
	if shared.node == nil {
		t.Fatal("the node did not start")
	}
	return shared.node
}

// stopShared ends what theNode started.
func stopShared() {
	n := shared.node
	if n == nil {
		return
	}
	n.stop()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	n.engine.StopPods(ctx, 0)
	n.engine.Stop(ctx)
}

var podCIDR = netip.MustParsePrefix("10.251.0.0/24")

// lasting is a test that outlives the first: what is started for all tests is
// not to end with one of them.
type lasting struct{ testing.TB }

func (lasting) Cleanup(func()) {}

func (lasting) Context() context.Context { return context.Background() }

func (l lasting) TempDir() string {
	dir, err := os.MkdirTemp(os.Getenv(sandboxDir), "")
	if err != nil {
		l.Fatal(err)
	}
	return dir
}

func startNode(t testing.TB) *node {
	_, file, _, _ := runtime.Caller(0)
	bin := filepath.Join(filepath.Dir(file), "../../bin")
	dir := os.Getenv(sandboxDir)
	n := &node{dir: dir, router: &recordingRouter{}}
	n.registry = serveImages(t)
	config := network.Config{PodCIDR: podCIDR, ServiceCIDR: netip.MustParsePrefix("10.250.0.0/24"),
		ConfDir: filepath.Join(dir, "run/cni"), StateDir: filepath.Join(dir, "run/network")}
	if err := network.Setup(config); err != nil {
		t.Fatal(err)
	}
	mirror, err := cri.ParseMirror(n.registry + "=http://" + n.registry)
	if err != nil {
		t.Fatal(err)
	}
	n.engine, err = cri.Start(context.Background(), cri.Config{BinDir: bin, DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"),
		Mirrors: []cri.Mirror{mirror}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	api := apitest.Start(lasting{t})
	n.client = api.Client(lasting{t})
	n.makeAccount(t)
	n.start(t)
	return n
}

// makeAccount does what a controller does in a whole cox.
func (n *node) makeAccount(t testing.TB) {
	accounts := n.client.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-root-ca.crt"}, Data: map[string]string{"ca.crt": "authority"}}
	if _, err := n.client.CoreV1().ConfigMaps("default").Create(t.Context(), roots, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// start starts an agent on the node.
func (n *node) start(t testing.TB) {
	t.Helper()
	logger := n.log
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	if logger == nil {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	}
	agent, err := New(Config{
		Client: n.client, NodeName: "node", NodeIP: "10.251.0.1", RuntimeEndpoint: n.engine.Endpoint(), OwnLabels: map[string]string{"owner": "this test"},
		DataDir: filepath.Join(n.dir, "data"), LogDir: filepath.Join(n.dir, "data/logs"),
		ClusterDNS: netip.MustParseAddr("10.250.0.10"), ClusterDomain: "cluster.local", PodCIDR: podCIDR, Router: n.router, Guard: n.router,
		Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	n.agent = agent
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			log.Print("the agent ended with ", err)
		}
	}
}

// recordingRouter notes which addresses it was asked about, and when.
type recordingRouter struct {
	mu    sync.Mutex
	asked map[question]time.Time
	// route, hold, drain and judge, if not nil, are waited for.
	route, hold, drain, judge chan struct{}
}

// question is Routed, Unrouted, Drained or Judged, of an address.
type question struct {
	name string
	ip   netip.Addr
}

func (r *recordingRouter) Routed(ctx context.Context, ip netip.Addr, services []string) error {
	return r.wait(ctx, question{"routed " + strings.Join(services, ","), ip}, func() chan struct{} { return r.route })
}

func (r *recordingRouter) Unrouted(ctx context.Context, pod routing.Leaving) error {
	return r.wait(ctx, question{"unrouted " + strings.Join(pod.Services, ","), pod.IP}, func() chan struct{} { return r.hold })
}

func (r *recordingRouter) Drained(ctx context.Context, pod routing.Leaving) error {
	return r.wait(ctx, question{"drained", pod.IP}, func() chan struct{} { return r.drain })
}

func (r *recordingRouter) Judged(ctx context.Context, ip netip.Addr) error {
	return r.wait(ctx, question{"judged", ip}, func() chan struct{} { return r.judge })
}

// wasAsked tells whether a question was asked.
func (r *recordingRouter) wasAsked(q question) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, asked := r.asked[q]
	return asked
}

func (r *recordingRouter) wait(ctx context.Context, asked question, on func() chan struct{}) error {
	r.mu.Lock()
	if r.asked == nil {
		r.asked = map[question]time.Time{}
	}
	r.asked[asked] = time.Now()
	hold := on()
	r.mu.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveImages builds the test image and serves it from a registry.
func serveImages(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(listener, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	address := listener.Addr().String()
	image := boxImage(t)
	for _, version := range []string{"v1", "fresh"} {
		tag, err := name.NewTag(address+"/box:"+version, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, image); err != nil {
			t.Fatal(err)
		}
	}
	return address
}

func boxImage(t testing.TB) v1.Image {
	binary := filepath.Join(os.Getenv(sandboxDir), "box")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "./testdata/box")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the test program: %v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, dir := range []string{"tmp/", "etc/"} {
		writer.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o777})
	}
	writer.WriteHeader(&tar.Header{Name: "box", Mode: 0o755, Size: int64(len(content))})
	writer.Write(content)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		image, err = mutate.Config(image, v1.Config{Entrypoint: []string{"/box"}})
	}
	if err == nil {
		var file *v1.ConfigFile
		if file, err = image.ConfigFile(); err == nil {
			file.OS, file.Architecture = "linux", runtime.GOARCH
			image, err = mutate.ConfigFile(image, file)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// box is a Pod that runs the test program with these steps.
func (n *node) box(podName string, steps ...string) *corev1.Pod {
	no := false
	grace := int64(2)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podName, Namespace: "default"},
		Spec: corev1.PodSpec{
			NodeName: "node", AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "c", Image: n.registry + "/box:v1", Args: steps}},
		},
	}
}

// create makes a Pod that is gone when the test ends.
func (n *node) create(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	created, err := n.client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.remove(t, created.Name, 1) })
	return created
}

// remove deletes a Pod and waits until it and all of it is gone.
func (n *node) remove(t testing.TB, podName string, grace int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	pods := n.client.CoreV1().Pods("default")
	pod, err := pods.Get(ctx, podName, metav1.GetOptions{})
	if err != nil {
		return // gone already
	}
	if err := pods.Delete(ctx, podName, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
		t.Error(err)
	}
	for n.agent.workerOf(pod.UID) != nil {
		select {
		case <-ctx.Done():
			t.Errorf("Pod %s is still there", podName)
			return
		case <-time.After(10 * time.Millisecond): // a worker has no other sign of its end
		}
	}
}

// await waits until the Pod is as wanted, and returns it.
func (n *node) await(t testing.TB, podName, what string, is func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	watcher, err := n.client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + podName})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	var last *corev1.Pod
	for event := range watcher.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("watching Pod %s: %v", podName, event.Object)
		}
		if last = pod; is(pod) {
			return pod
		}
	}
	t.Fatalf("Pod %s never became %s; it is %+v", podName, what, last.Status)
	return nil
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// waitingFor tells whether the first container waits for that reason.
func waitingFor(reason string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Waiting != nil &&
			pod.Status.ContainerStatuses[0].State.Waiting.Reason == reason
	}
}

func inPhase(phase corev1.PodPhase) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return pod.Status.Phase == phase }
}

// awaitEvent waits for an event about the Pod whose message contains the text.
func (n *node) awaitEvent(t testing.TB, uid types.UID, reason, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	watcher, err := n.client.CoreV1().Events("default").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	var seen []string
	for event := range watcher.ResultChan() {
		if e, ok := event.Object.(*corev1.Event); ok && e.InvolvedObject.UID == uid {
			seen = append(seen, e.Reason+": "+e.Message)
			if e.Reason == reason && strings.Contains(e.Message, text) {
				return
			}
		}
	}
	t.Fatalf("no event %s %q; there are:\n%s", reason, text, strings.Join(seen, "\n"))
}

// logs reads a log through the agent's handler.
func (n *node) logs(t testing.TB, podName, query string) string {
	t.Helper()
	recorder := &answer{header: http.Header{}}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "/containerLogs/default/"+podName+"/c?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.agent.Handler().ServeHTTP(recorder, request)
	return recorder.body.String()
}

// answer is what a handler says.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header               { return a.header }
func (a *answer) WriteHeader(status int)            { a.status = status }
func (a *answer) Write(content []byte) (int, error) { return a.body.Write(content) }
