package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/test/harness"
)

// engine makes containers with bare CRI calls on an instance's engine: the
// floor below which no Pod can start.
type engine struct {
	b      *testing.B
	client runtimeapi.RuntimeServiceClient
	made   int
}

func engineOf(b *testing.B, instance *harness.Instance) *engine {
	b.Helper()
	socket := filepath.Join(instance.Dir, "run/containerd/containerd.sock")
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { connection.Close() })
	return &engine{b: b, client: runtimeapi.NewRuntimeServiceClient(connection)}
}

// runOne makes a sandbox with one running container of the sample application
// and removes it again. It returns how long the making took.
func (e *engine) runOne(ctx context.Context) time.Duration {
	e.b.Helper()
	e.made++
	name := fmt.Sprintf("floor-%d", e.made)
	start := time.Now()
	sandboxConfig := &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: name, Uid: name, Namespace: "bench"},
		LogDirectory: e.b.TempDir(),
		Linux:        &runtimeapi.LinuxPodSandboxConfig{},
	}
	sandbox, err := e.client.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: sandboxConfig})
	if err != nil {
		e.b.Fatal(err)
	}
	container, err := e.client.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId:  sandbox.PodSandboxId,
		SandboxConfig: sandboxConfig,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "http-go"},
			Image:    &runtimeapi.ImageSpec{Image: "docker.io/gasbugs/http-go:v1"},
			LogPath:  "log",
			Linux:    &runtimeapi.LinuxContainerConfig{},
		},
	})
	if err != nil {
		e.b.Fatal(err)
	}
	if _, err := e.client.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: container.ContainerId}); err != nil {
		e.b.Fatal(err)
	}
	took := time.Since(start)
	if _, err := e.client.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err != nil {
		e.b.Fatal(err)
	}
	if _, err := e.client.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err != nil {
		e.b.Fatal(err)
	}
	return took
}
