package cri

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// testDeadline bounds every test here on a loaded machine.
const testDeadline = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testDeadline)
	t.Cleanup(cancel)
	return ctx
}

// testConfig is for an engine in a directory of the test's own.
func testConfig(t testing.TB) Config {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(sandboxDir), "")
	if err != nil {
		t.Fatal(err)
	}
	_, file, _, _ := runtime.Caller(0)
	return Config{
		BinDir:  filepath.Join(filepath.Dir(file), "../../bin"),
		DataDir: filepath.Join(dir, "d"),
		RunDir:  filepath.Join(dir, "r"),
		Logger:  slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
}

// testWriter sends log lines to the test for as long as it runs.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// start starts an engine that is stopped, with its Pods, when the test ends.
func start(t testing.TB, config Config) *Engine {
	t.Helper()
	engine, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopAll(t, config) })
	return engine
}

// stopAll takes the engine of a configuration up once more and ends all of it.
func stopAll(t testing.TB, config Config) {
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	config.Logger = slog.New(slog.DiscardHandler)
	engine, err := Start(ctx, config)
	if err != nil {
		t.Errorf("taking up the engine to stop it: %v", err)
		return
	}
	if err := engine.StopPods(ctx, 0); err != nil {
		t.Error(err)
	}
	if err := engine.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// testPod is a Pod on the host's network, which needs no CNI plugin.
type testPod struct {
	client             runtimev1.RuntimeServiceClient
	sandbox, container string
	config             *runtimev1.PodSandboxConfig
	// Times of the three calls that start it.
	sandboxTook, createTook, startTook time.Duration
}

func sandboxConfig(name string) *runtimev1.PodSandboxConfig {
	return &runtimev1.PodSandboxConfig{
		Metadata: &runtimev1.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"},
		Linux: &runtimev1.LinuxPodSandboxConfig{
			CgroupParent: "/" + filepath.Base(os.Getenv(sandboxDir)),
			SecurityContext: &runtimev1.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimev1.NamespaceOption{Network: runtimev1.NamespaceMode_NODE, Pid: runtimev1.NamespaceMode_CONTAINER},
			},
		},
	}
}

// runPod starts a Pod with one container, both of the pause image.
func runPod(t testing.TB, engine *Engine, name string) *testPod {
	t.Helper()
	return runContainer(t, engine, name, &runtimev1.ContainerConfig{
		Image: &runtimev1.ImageSpec{Image: PauseImage},
		Linux: &runtimev1.LinuxContainerConfig{},
	})
}

// runContainer starts a Pod with the container, unprivileged and filtered.
func runContainer(t testing.TB, engine *Engine, name string, container *runtimev1.ContainerConfig) *testPod {
	t.Helper()
	ctx := testContext(t)
	pod := &testPod{client: runtimev1.NewRuntimeServiceClient(engine.images.conn), config: sandboxConfig(name)}
	container.Metadata = &runtimev1.ContainerMetadata{Name: "only"}
	container.Linux.SecurityContext = &runtimev1.LinuxContainerSecurityContext{
		NamespaceOptions: pod.config.Linux.SecurityContext.NamespaceOptions,
		Seccomp:          &runtimev1.SecurityProfile{ProfileType: runtimev1.SecurityProfile_RuntimeDefault},
	}
	began := time.Now()
	sandbox, err := pod.client.RunPodSandbox(ctx, &runtimev1.RunPodSandboxRequest{Config: pod.config})
	if err != nil {
		t.Fatal(err)
	}
	pod.sandbox, pod.sandboxTook = sandbox.PodSandboxId, time.Since(began)
	began = time.Now()
	created, err := pod.client.CreateContainer(ctx, &runtimev1.CreateContainerRequest{
		PodSandboxId: pod.sandbox, SandboxConfig: pod.config, Config: container,
	})
	if err != nil {
		t.Fatal(err)
	}
	pod.container, pod.createTook = created.ContainerId, time.Since(began)
	began = time.Now()
	if _, err := pod.client.StartContainer(ctx, &runtimev1.StartContainerRequest{ContainerId: pod.container}); err != nil {
		t.Fatal(err)
	}
	pod.startTook = time.Since(began)
	return pod
}

// startedAt is when the container started; it fails the test if it does not run.
func (p *testPod) startedAt(t testing.TB, engine *Engine) int64 {
	t.Helper()
	client := runtimev1.NewRuntimeServiceClient(engine.images.conn)
	answer, err := client.ContainerStatus(testContext(t), &runtimev1.ContainerStatusRequest{ContainerId: p.container})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status.State != runtimev1.ContainerState_CONTAINER_RUNNING {
		t.Fatalf("the container is %v (exit code %d, %s)", answer.Status.State, answer.Status.ExitCode, answer.Status.Message)
	}
	return answer.Status.StartedAt
}

func TestAFreshEngineRunsAPod(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	if engine.TakenUp() {
		t.Error("a fresh engine says that it was taken up")
	}
	known, err := engine.Images().Has(testContext(t), PauseImage)
	if err != nil || !known {
		t.Fatalf("Has(%s) = %v, %v; want the pause image to be there", PauseImage, known, err)
	}
	runPod(t, engine, "first").startedAt(t, engine)
	if log, err := os.ReadFile(config.logFile()); err != nil || bytes.Contains(log, []byte("level=error")) {
		t.Errorf("containerd's log has errors (%v):\n%s", err, log)
	}
}

func TestAnEngineIsInASessionOfItsOwn(t *testing.T) {
	engine := start(t, testConfig(t))
	session, err := unix.Getsid(engine.PID())
	if err != nil || session != engine.PID() {
		t.Errorf("session of containerd (process %d) = %d, %v; want its own, out of reach of the terminal's Ctrl-C", engine.PID(), session, err)
	}
}

func TestARestartedCoxTakesUpItsEngine(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before, pid := pod.startedAt(t, engine), engine.PID()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}

	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.PID() != pid || !again.TakenUp() {
		t.Errorf("process = %d, taken up = %v; want process %d taken up", again.PID(), again.TakenUp(), pid)
	}
	if after := pod.startedAt(t, again); after != before {
		t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
	}
}

func TestAChangedConfigurationRestartsContainerdButNoContainer(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before, pid := pod.startedAt(t, engine), engine.PID()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}

	changed := config
	changed.CNIConfDir = filepath.Join(config.RunDir, "other-cni")
	again, err := Start(testContext(t), changed)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.PID() == pid || again.TakenUp() {
		t.Errorf("process = %d, taken up = %v; want a new process", again.PID(), again.TakenUp())
	}
	if after := pod.startedAt(t, again); after != before {
		t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
	}
}

func TestADeadContainerdComesBackAndContainersRunOn(t *testing.T) {
	config := testConfig(t)
	revived := make(chan struct{}, 8)
	config.Logger = slog.New(&watchFor{Handler: config.Logger.Handler(), message: "containerd answers again", seen: revived})
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before := pod.startedAt(t, engine)
	for range 3 {
		dead, began := engine.PID(), time.Now()
		if err := unix.Kill(dead, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {
		case <-revived:
		case <-testContext(t).Done():
			t.Fatal("containerd did not come back")
		}
		t.Logf("back after %v", time.Since(began))
		if engine.PID() == dead {
			t.Errorf("the engine still has process %d", dead)
		}
		if after := pod.startedAt(t, engine); after != before {
			t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
		}
	}
}

// watchFor reports a log message.
type watchFor struct {
	slog.Handler
	message string
	seen    chan struct{}
}

func (w *watchFor) Handle(ctx context.Context, record slog.Record) error {
	if record.Message == w.message {
		w.seen <- struct{}{}
	}
	return w.Handler.Handle(ctx, record)
}

func TestStopEndsContainerdAndLeavesContainersRunning(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before, pid := pod.startedAt(t, engine), engine.PID()
	if err := engine.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d is there after Stop (%v)", pid, err)
	}
	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if after := pod.startedAt(t, again); after != before {
		t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
	}
}

func TestStopPodsEndsAllContainersAndShims(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	for _, name := range []string{"a", "b", "c"} {
		runPod(t, engine, name)
	}
	if err := engine.StopPods(testContext(t), time.Second); err != nil {
		t.Fatal(err)
	}
	answer, err := runtimev1.NewRuntimeServiceClient(engine.images.conn).ListPodSandbox(testContext(t), &runtimev1.ListPodSandboxRequest{})
	if err != nil || len(answer.Items) != 0 {
		t.Errorf("Pods left: %v, %v", answer, err)
	}
}

func TestOnASharedEngineOnlyOurPodsAreStopped(t *testing.T) {
	config := testConfig(t)
	own := start(t, config)
	theirs := runPod(t, own, "theirs")
	config.Endpoint, config.PodLabels = own.Endpoint(), map[string]string{"owner": "us"}
	shared, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	ours := sandboxConfig("ours")
	ours.Labels = config.PodLabels
	if _, err := theirs.client.RunPodSandbox(testContext(t), &runtimev1.RunPodSandboxRequest{Config: ours}); err != nil {
		t.Fatal(err)
	}
	if err := shared.StopPods(testContext(t), time.Second); err != nil {
		t.Fatal(err)
	}
	left, err := theirs.client.ListPodSandbox(testContext(t), &runtimev1.ListPodSandboxRequest{})
	if err != nil || len(left.Items) != 1 || left.Items[0].Metadata.Name != "theirs" {
		t.Errorf("left are %v (%v), want theirs", left, err)
	}
}

func TestAContainerOverItsMemoryLimitIsReportedAsOOMKilled(t *testing.T) {
	engine := start(t, testConfig(t))
	if _, err := engine.Import(testContext(t), bytes.NewReader(selfImage(t, "eater:v1"))); err != nil {
		t.Fatal(err)
	}
	pod := runContainer(t, engine, "eater", &runtimev1.ContainerConfig{
		Image: &runtimev1.ImageSpec{Image: "docker.io/library/eater:v1"},
		Envs:  []*runtimev1.KeyValue{{Key: eatMemory, Value: []byte("1")}},
		Linux: &runtimev1.LinuxContainerConfig{Resources: &runtimev1.LinuxContainerResources{
			MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: 64 << 20,
		}},
	})
	ctx := testContext(t)
	for {
		answer, err := pod.client.ContainerStatus(ctx, &runtimev1.ContainerStatusRequest{ContainerId: pod.container})
		if err != nil {
			t.Fatal(err)
		}
		if status := answer.Status; status.State == runtimev1.ContainerState_CONTAINER_EXITED {
			if status.Reason != "OOMKilled" || status.ExitCode != 137 {
				t.Errorf("the container ended as %q with code %d, want OOMKilled with 137", status.Reason, status.ExitCode)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestShimsThatEndedAreReaped(t *testing.T) {
	// As process 1 of a container, which every orphan becomes a child of.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	engine := start(t, testConfig(t))
	runPod(t, engine, "short")
	if err := engine.StopPods(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	for len(zombieShims()) == 0 {
		if ctx.Err() != nil {
			t.Fatal("no shim ended as our child: the test tests nothing")
		}
		time.Sleep(time.Millisecond)
	}
	reaping, stop := context.WithCancel(ctx)
	defer stop()
	go reapShims(reaping)
	for len(zombieShims()) > 0 {
		if ctx.Err() != nil {
			t.Fatalf("zombies are left: %v", zombieShims())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTwoEnginesRunSideBySide(t *testing.T) {
	var group sync.WaitGroup
	pods := make([]*testPod, 2)
	engines := []*Engine{start(t, testConfig(t)), start(t, testConfig(t))}
	for n, engine := range engines {
		group.Go(func() { pods[n] = runPod(t, engine, "same-name") })
	}
	group.Wait()
	for n, pod := range pods {
		pod.startedAt(t, engines[n])
	}
}
