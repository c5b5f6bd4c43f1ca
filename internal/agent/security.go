package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func int64Value(value *int64) *runtimeapi.Int64Value {
	if value == nil {
		return nil
	}
	return &runtimeapi.Int64Value{Value: *value}
}

// namespaces says what the Pod shares with the machine and its containers
// with each other.
func namespaces(pod *corev1.Pod) *runtimeapi.NamespaceOption {
	options := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	if pod.Spec.HostNetwork {
		options.Network = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostIPC {
		options.Ipc = runtimeapi.NamespaceMode_NODE
	}
	switch {
	case pod.Spec.HostPID:
		options.Pid = runtimeapi.NamespaceMode_NODE
	case pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace:
		options.Pid = runtimeapi.NamespaceMode_POD
	}
	return options
}

func supplementalGroups(pod *corev1.Pod) []int64 {
	security := pod.Spec.SecurityContext
	if security == nil {
		return nil
	}
	groups := slices.Clone(security.SupplementalGroups)
	if security.FSGroup != nil {
		groups = append(groups, *security.FSGroup)
	}
	return groups
}

// seccomp is a container's profile, or the sandbox's for nil.
func seccomp(pod *corev1.Pod, c *corev1.Container, privileged bool) *runtimeapi.SecurityProfile {
	unconfined := &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
	if privileged {
		return unconfined
	}
	var profile *corev1.SeccompProfile
	if pod.Spec.SecurityContext != nil {
		profile = pod.Spec.SecurityContext.SeccompProfile
	}
	if c != nil && c.SecurityContext != nil && c.SecurityContext.SeccompProfile != nil {
		profile = c.SecurityContext.SeccompProfile
	}
	if profile == nil {
		if c == nil {
			// The sandbox's own process needs next to nothing.
			return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
		}
		return unconfined
	}
	switch profile.Type {
	case corev1.SeccompProfileTypeRuntimeDefault:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
	case corev1.SeccompProfileTypeLocalhost:
		if profile.LocalhostProfile != nil {
			return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost,
				LocalhostRef: filepath.Join(seccompProfiles, *profile.LocalhostProfile)}
		}
	}
	return unconfined
}

// seccompProfiles is where profiles of type Localhost are.
const seccompProfiles = "/var/lib/kubelet/seccomp"

// What containers do not see, or cannot write, of /proc and /sys.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// containerSecurity merges the Pod's settings with the container's own.
func containerSecurity(pod *corev1.Pod, c *corev1.Container) *runtimeapi.LinuxContainerSecurityContext {
	own := c.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	privileged := own.Privileged != nil && *own.Privileged
	security := &runtimeapi.LinuxContainerSecurityContext{
		NamespaceOptions:   namespaces(pod),
		Privileged:         privileged,
		ReadonlyRootfs:     own.ReadOnlyRootFilesystem != nil && *own.ReadOnlyRootFilesystem,
		Seccomp:            seccomp(pod, c, privileged),
		SupplementalGroups: supplementalGroups(pod),
		RunAsUser:          int64Value(own.RunAsUser),
		RunAsGroup:         int64Value(own.RunAsGroup),
		NoNewPrivs:         own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation,
	}
	if shared := pod.Spec.SecurityContext; shared != nil {
		if own.RunAsUser == nil {
			security.RunAsUser = int64Value(shared.RunAsUser)
		}
		if own.RunAsGroup == nil {
			security.RunAsGroup = int64Value(shared.RunAsGroup)
		}
	}
	if own.Capabilities != nil {
		security.Capabilities = &runtimeapi.Capability{}
		for _, name := range own.Capabilities.Add {
			security.Capabilities.AddCapabilities = append(security.Capabilities.AddCapabilities, string(name))
		}
		for _, name := range own.Capabilities.Drop {
			security.Capabilities.DropCapabilities = append(security.Capabilities.DropCapabilities, string(name))
		}
	}
	unmasked := own.ProcMount != nil && *own.ProcMount == corev1.UnmaskedProcMount
	if !privileged && !unmasked {
		security.MaskedPaths, security.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	return security
}

// checkUser refuses root where runAsNonRoot is set. If no user is given, the
// image's is looked up, and set if it is a name.
func (a *Agent) checkUser(ctx context.Context, pod *corev1.Pod, c *corev1.Container, ref string, security *runtimeapi.LinuxContainerSecurityContext) error {
	if !mustNotBeRoot(pod, c) {
		return nil
	}
	who := fmt.Sprintf("(pod: %q, container: %s)", podText(pod), c.Name)
	if security.RunAsUser != nil {
		if security.RunAsUser.Value == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", who)
		}
		return nil
	}
	answer, err := a.store.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: ref}, false)
	if err != nil || answer.Image == nil {
		return fmt.Errorf("looking up the user of the image: %v", err)
	}
	switch image := answer.Image; {
	case image.Uid != nil && image.Uid.Value != 0:
		return nil
	case image.Uid == nil && image.Username != "":
		name, _, _ := strings.Cut(image.Username, ":")
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, who)
	}
	return fmt.Errorf("container has runAsNonRoot and image will run as root %s", who)
}

func mustNotBeRoot(pod *corev1.Pod, c *corev1.Container) bool {
	if c.SecurityContext != nil && c.SecurityContext.RunAsNonRoot != nil {
		return *c.SecurityContext.RunAsNonRoot
	}
	shared := pod.Spec.SecurityContext
	return shared != nil && shared.RunAsNonRoot != nil && *shared.RunAsNonRoot
}

// podText names a Pod as messages do.
func podText(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}
