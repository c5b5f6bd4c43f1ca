package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/agent/cgroups"
	"coxswain.dev/cox/internal/agent/environ"
	"coxswain.dev/cox/internal/podlifecycle"
)

// containerConfig is what the runtime is told of a container.
func (a *Agent) containerConfig(ctx context.Context, pod *corev1.Pod, c *corev1.Container, start podlifecycle.StartContainer) (*runtimeapi.ContainerConfig, error) {
	variables, err := a.environment(ctx, pod, c)
	if err != nil {
		return nil, err
	}
	mounts, err := a.mounts(pod, c, start.RestartCount, variables)
	if err != nil {
		return nil, err
	}
	security := containerSecurity(pod, c)
	if err := a.checkUser(ctx, pod, c, start.ImageRef, security); err != nil {
		return nil, err
	}
	if target := targetOf(pod, c.Name); target != "" {
		a.shareProcesses(pod, target, security)
	}
	config := &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: uint32(start.RestartCount)},
		Image:       &runtimeapi.ImageSpec{Image: start.ImageRef, UserSpecifiedImage: c.Image},
		Command:     environ.ExpandAll(c.Command, variables),
		Args:        environ.ExpandAll(c.Args, variables),
		WorkingDir:  c.WorkingDir,
		Labels:      containerLabels(pod, c),
		Annotations: containerAnnotations(pod, c, start),
		LogPath:     logPath(c.Name, start.RestartCount),
		Stdin:       c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		Mounts:      mounts,
		Linux:       &runtimeapi.LinuxContainerConfig{Resources: a.resources(pod, c), SecurityContext: security},
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		config.StopSignal = runtimeapi.Signal(runtimeapi.Signal_value[string(*c.Lifecycle.StopSignal)])
	}
	for _, variable := range variables {
		config.Envs = append(config.Envs, &runtimeapi.KeyValue{Key: variable.Name, Value: []byte(variable.Value)})
	}
	return config, os.MkdirAll(filepath.Join(a.logDir(pod), c.Name), 0o755)
}

// logPath is where a container's log is, below the Pod's log folder.
func logPath(name string, restartCount int) string {
	return filepath.Join(name, fmt.Sprintf("%d.log", restartCount))
}

// targetOf is the container whose processes an ephemeral one wants to see.
func targetOf(pod *corev1.Pod, name string) string {
	for i := range pod.Spec.EphemeralContainers {
		if e := &pod.Spec.EphemeralContainers[i]; e.Name == name {
			return e.TargetContainerName
		}
	}
	return ""
}

func (a *Agent) shareProcesses(pod *corev1.Pod, target string, security *runtimeapi.LinuxContainerSecurityContext) {
	w := a.workerOf(pod.UID)
	if w == nil {
		return
	}
	if c := w.runningContainer(target); c != nil {
		security.NamespaceOptions.Pid = runtimeapi.NamespaceMode_TARGET
		security.NamespaceOptions.TargetId = c.ID
	}
}

// environment works out a container's variables.
func (a *Agent) environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]environ.Variable, error) {
	services, err := a.services.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	return environ.Make(ctx, environ.Input{
		Pod: pod, Container: c, Objects: a.objects, Node: a.node.capacity,
		Services: environ.Services(services, pod.Namespace, links),
	})
}

// resources are a container's share and limits.
func (a *Agent) resources(pod *corev1.Pod, c *corev1.Container) *runtimeapi.LinuxContainerResources {
	limits, requests := c.Resources.Limits, c.Resources.Requests
	cpu := requests.Cpu()
	if _, given := requests[corev1.ResourceCPU]; !given {
		cpu = limits.Cpu()
	}
	memory := limits.Memory().Value()
	resources := &runtimeapi.LinuxContainerResources{
		CpuShares:          cgroups.Shares(cpu.MilliValue()),
		CpuPeriod:          cgroups.Period,
		CpuQuota:           cgroups.Quota(limits.Cpu().MilliValue()),
		MemoryLimitInBytes: memory,
		OomScoreAdj:        cgroups.OOMScore(pod, c, a.node.capacity.Memory().Value()),
	}
	return resources
}

const mountsHosts = "/etc/hosts"

// mounts are the container's volumes, its hosts file and the file for its last
// words.
func (a *Agent) mounts(pod *corev1.Pod, c *corev1.Container, attempt int, variables []environ.Variable) ([]*runtimeapi.Mount, error) {
	var mounts []*runtimeapi.Mount
	hasHosts := false
	for i := range c.VolumeMounts {
		mount, err := a.mount(pod, c, i, variables)
		if err != nil {
			return nil, err
		}
		hasHosts = hasHosts || mount.ContainerPath == mountsHosts
		mounts = append(mounts, mount)
	}
	if !hasHosts {
		path, err := a.writeHosts(pod)
		if err != nil {
			return nil, fmt.Errorf("writing the Pod's hosts file: %w", err)
		}
		mounts = append(mounts, &runtimeapi.Mount{ContainerPath: mountsHosts, HostPath: path})
	}
	if c.TerminationMessagePath == "" {
		return mounts, nil
	}
	path := a.messageFile(pod, c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return nil, err
	}
	// The container may run as anybody.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, err
	}
	return append(mounts, &runtimeapi.Mount{ContainerPath: c.TerminationMessagePath, HostPath: path}), nil
}

var propagations = map[corev1.MountPropagationMode]runtimeapi.MountPropagation{
	corev1.MountPropagationHostToContainer: runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER,
	corev1.MountPropagationBidirectional:   runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL,
}

func (a *Agent) mount(pod *corev1.Pod, c *corev1.Container, index int, variables []environ.Variable) (*runtimeapi.Mount, error) {
	wanted := &c.VolumeMounts[index]
	mount := &runtimeapi.Mount{
		ContainerPath: wanted.MountPath,
		HostPath:      a.volumes.Path(pod, wanted.Name),
		Readonly:      wanted.ReadOnly,
	}
	if !filepath.IsAbs(mount.ContainerPath) {
		mount.ContainerPath = filepath.Join("/", mount.ContainerPath)
	}
	if wanted.MountPropagation != nil {
		mount.Propagation = propagations[*wanted.MountPropagation]
	}
	if wanted.RecursiveReadOnly != nil && *wanted.RecursiveReadOnly == corev1.RecursiveReadOnlyEnabled {
		mount.RecursiveReadOnly = true
	}
	sub := wanted.SubPath
	if wanted.SubPathExpr != "" {
		sub = environ.Expand(wanted.SubPathExpr, environ.Lookup(variables))
	}
	if sub == "" || sub == "." {
		return mount, nil
	}
	path, err := a.volumes.SubPath(pod, wanted.Name, c.Name, index, sub)
	mount.HostPath = path
	return mount, err
}
