package cri

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxParallelStops bounds how many Pods are stopped at the same time.
const maxParallelStops = 16

// StopPods ends every Pod of the engine and removes it: each container gets
// the grace period to end by itself. The engine itself runs on. Of an engine
// that somebody else runs, only the Pods with Config.PodLabels are ended.
func (e *Engine) StopPods(ctx context.Context, grace time.Duration) error {
	client := runtimev1.NewRuntimeServiceClient(e.images.conn)
	filter := &runtimev1.PodSandboxFilter{}
	if e.config.Endpoint != "" {
		filter.LabelSelector = e.config.PodLabels
	} else if err := e.endLeftovers(ctx); err != nil {
		return err
	}
	sandboxes, err := client.ListPodSandbox(ctx, &runtimev1.ListPodSandboxRequest{Filter: filter})
	if err != nil {
		return explainRPC("listing Pods", err)
	}
	containers, err := client.ListContainers(ctx, &runtimev1.ListContainersRequest{})
	if err != nil {
		return explainRPC("listing containers", err)
	}
	inPod := map[string][]string{}
	for _, container := range containers.Containers {
		inPod[container.PodSandboxId] = append(inPod[container.PodSandboxId], container.Id)
	}
	errs := make([]error, len(sandboxes.Items))
	var group sync.WaitGroup
	slots := make(chan struct{}, maxParallelStops)
	for n, sandbox := range sandboxes.Items {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := stopPod(ctx, client, sandbox.Id, inPod[sandbox.Id], grace); err != nil {
				errs[n] = fmt.Errorf("stopping Pod %s/%s: %w", sandbox.GetMetadata().GetNamespace(), sandbox.GetMetadata().GetName(), err)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// stopPod asks all containers to end at the same time, then removes the Pod,
// which ends what is left.
func stopPod(ctx context.Context, client runtimev1.RuntimeServiceClient, sandbox string, containers []string, grace time.Duration) error {
	var group sync.WaitGroup
	for _, container := range containers {
		group.Go(func() {
			// What does not end here ends with its sandbox.
			client.StopContainer(ctx, &runtimev1.StopContainerRequest{ContainerId: container, Timeout: int64(grace / time.Second)})
		})
	}
	group.Wait()
	if _, err := client.StopPodSandbox(ctx, &runtimev1.StopPodSandboxRequest{PodSandboxId: sandbox}); err != nil {
		return err
	}
	_, err := client.RemovePodSandbox(ctx, &runtimev1.RemovePodSandboxRequest{PodSandboxId: sandbox})
	return err
}
