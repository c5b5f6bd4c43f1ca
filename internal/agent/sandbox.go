package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// makeSandbox makes the Pod's sandbox: its cgroup, its network, its log folder.
func (w *worker) makeSandbox(pod *corev1.Pod, action podlifecycle.MakeSandbox) error {
	a := w.agent
	config, err := a.sandboxConfig(pod, action.Attempt)
	if err == nil {
		err = os.MkdirAll(config.LogDirectory, 0o755)
	}
	if err == nil {
		err = a.cgroups.Make(pod)
	}
	if err == nil {
		_, err = a.runtime.RunPodSandbox(w.ctx, config, "")
	}
	if err != nil && w.ctx.Err() == nil {
		a.event(pod, "", corev1.EventTypeWarning, "FailedCreatePodSandBox", fmt.Sprintf("Failed to create pod sandbox: %v", err))
	}
	return err
}

func (a *Agent) sandboxConfig(pod *corev1.Pod, attempt uint32) (*runtimeapi.PodSandboxConfig, error) {
	dns, err := a.dnsConfig(pod)
	if err != nil {
		return nil, err
	}
	labels := podLabels(pod)
	maps.Copy(labels, a.config.OwnLabels)
	config := &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: attempt},
		Labels:       labels,
		Annotations:  pod.Annotations,
		DnsConfig:    dns,
		LogDirectory: a.logDir(pod),
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent:    a.cgroups.Path(pod),
			SecurityContext: sandboxSecurity(pod),
			Sysctls:         sysctls(pod),
		},
	}
	if !pod.Spec.HostNetwork {
		config.Hostname, _ = hostname(pod, a.config.ClusterDomain)
		config.PortMappings = portMappings(pod)
	}
	return config, nil
}

func sysctls(pod *corev1.Pod) map[string]string {
	all := map[string]string{}
	if pod.Spec.SecurityContext != nil {
		for _, sysctl := range pod.Spec.SecurityContext.Sysctls {
			all[sysctl.Name] = sysctl.Value
		}
	}
	return all
}

func portMappings(pod *corev1.Pod) []*runtimeapi.PortMapping {
	var all []*runtimeapi.PortMapping
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			if port.HostPort == 0 {
				continue
			}
			protocol := runtimeapi.Protocol(runtimeapi.Protocol_value[string(port.Protocol)])
			all = append(all, &runtimeapi.PortMapping{Protocol: protocol, ContainerPort: port.ContainerPort, HostPort: port.HostPort, HostIp: port.HostIP})
		}
	}
	return all
}

func sandboxSecurity(pod *corev1.Pod) *runtimeapi.LinuxSandboxSecurityContext {
	context := &runtimeapi.LinuxSandboxSecurityContext{
		NamespaceOptions: namespaces(pod),
		Privileged:       hasPrivileged(pod),
		Seccomp:          seccomp(pod, nil, false),
	}
	if security := pod.Spec.SecurityContext; security != nil {
		context.RunAsUser = int64Value(security.RunAsUser)
		context.RunAsGroup = int64Value(security.RunAsGroup)
		context.SupplementalGroups = supplementalGroups(pod)
	}
	return context
}

func hasPrivileged(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if security := list[i].SecurityContext; security != nil && security.Privileged != nil && *security.Privileged {
				return true
			}
		}
	}
	return false
}

// maxHostname is the kernel's bound.
const maxHostname = 63

// hostname is the Pod's short name, and its domain if it has one.
func hostname(pod *corev1.Pod, clusterDomain string) (name, domain string) {
	name = pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	if pod.Spec.Subdomain != "" {
		domain = fmt.Sprintf("%s.%s.svc.%s", pod.Spec.Subdomain, pod.Namespace, clusterDomain)
	}
	if pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN && domain != "" {
		name = name + "." + domain
	}
	if pod.Spec.HostnameOverride != nil {
		return *pod.Spec.HostnameOverride, ""
	}
	return name, domain
}

// logDir has a folder for every container of the Pod.
func (a *Agent) logDir(pod *corev1.Pod) string {
	return filepath.Join(a.config.LogDir, "pods", strings.Join([]string{pod.Namespace, pod.Name, string(pod.UID)}, "_"))
}
