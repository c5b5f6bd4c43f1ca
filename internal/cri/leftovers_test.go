package cri

import (
	"context"
	"os/exec"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestAContainerThatWasNeverStartedIsEnded: a cox that is killed while
// containerd starts a container leaves its task made, which containerd does
// not remove by itself.
func TestAContainerThatWasNeverStartedIsEnded(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "cut-off")
	id := madeTask(t, engine, pod)
	if _, err := pod.client.RemoveContainer(testContext(t), &runtimev1.RemoveContainerRequest{ContainerId: id}); err == nil {
		t.Fatal("containerd removes such a container by itself: this package need not")
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	next := start(t, config) // as the next cox does
	client := runtimev1.NewRuntimeServiceClient(next.images.conn)
	deadline := time.Now().Add(leftoverPeriod*leftoverLooks + 10*time.Second)
	for {
		_, err := client.RemoveContainer(testContext(t), &runtimev1.RemoveContainerRequest{ContainerId: id})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	pod.startedAt(t, next) // the other container of the Pod runs on
}

// TestStopPodsEndsWhatWasNeverStarted: and so that nothing is left behind.
func TestStopPodsEndsWhatWasNeverStarted(t *testing.T) {
	engine := start(t, testConfig(t))
	madeTask(t, engine, runPod(t, engine, "cut-off"))
	if err := engine.StopPods(testContext(t), time.Second); err != nil {
		t.Fatal(err)
	}
	left, err := tasksapi.NewTasksClient(engine.images.conn).List(inNamespace(testContext(t)), &tasksapi.ListTasksRequest{})
	if err != nil || len(left.Tasks) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// TestAShimWithoutAContainerIsEnded: of a start that was given up earlier still,
// a shim is left that keeps nothing. Those that keep a Pod stay.
func TestAShimWithoutAContainerIsEnded(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "whole")
	// What counts of a shim is its command line.
	stray := exec.Command("/bin/sh", "-c", `read line; : "$@"`, "-", "-namespace", "k8s.io", "-id", "gone", "-address", config.withDefaults().socket())
	stray.Args[0] = "/somewhere/containerd-shim-runc-v2"
	hold, err := stray.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stray.Wait() }()
	if err := engine.endLeftovers(testContext(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: killed" {
			t.Errorf("it ended with %v", err)
		}
	case <-testContext(t).Done():
		t.Error("it runs on")
	}
	pod.startedAt(t, engine)
}

// madeTask makes one more container in a Pod, and its task, without a start.
func madeTask(t *testing.T, engine *Engine, pod *testPod) string {
	t.Helper()
	ctx := testContext(t)
	created, err := pod.client.CreateContainer(ctx, &runtimev1.CreateContainerRequest{
		PodSandboxId: pod.sandbox, SandboxConfig: pod.config,
		Config: &runtimev1.ContainerConfig{
			Metadata: &runtimev1.ContainerMetadata{Name: "second"}, Image: &runtimev1.ImageSpec{Image: PauseImage},
			Linux: &runtimev1.LinuxContainerConfig{SecurityContext: &runtimev1.LinuxContainerSecurityContext{
				NamespaceOptions: pod.config.Linux.SecurityContext.NamespaceOptions,
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	makeTask(inNamespace(ctx), t, engine, created.ContainerId)
	return created.ContainerId
}

func makeTask(ctx context.Context, t *testing.T, engine *Engine, id string) {
	t.Helper()
	found, err := containersapi.NewContainersClient(engine.images.conn).Get(ctx, &containersapi.GetContainerRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := snapshotsapi.NewSnapshotsClient(engine.images.conn).Mounts(ctx,
		&snapshotsapi.MountsRequest{Snapshotter: found.Container.Snapshotter, Key: found.Container.SnapshotKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tasksapi.NewTasksClient(engine.images.conn).Create(ctx, &tasksapi.CreateTaskRequest{ContainerID: id, Rootfs: mounts.Mounts}); err != nil {
		t.Fatal(err)
	}
}
