package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// addPodDefaults registers the defaults of what holds a Pod's spec in core/v1.
func addPodDefaults(scheme *runtime.Scheme) {
	scheme.AddTypeDefaultingFunc(&corev1.Pod{}, func(obj any) { SetPodDefaults(obj.(*corev1.Pod)) })
	scheme.AddTypeDefaultingFunc(&corev1.PodList{}, func(obj any) {
		for i := range obj.(*corev1.PodList).Items {
			SetPodDefaults(&obj.(*corev1.PodList).Items[i])
		}
	})
	scheme.AddTypeDefaultingFunc(&corev1.PodTemplate{}, func(obj any) {
		SetPodSpecDefaults(&obj.(*corev1.PodTemplate).Template.Spec)
	})
	scheme.AddTypeDefaultingFunc(&corev1.ReplicationController{}, func(obj any) {
		SetReplicationControllerDefaults(obj.(*corev1.ReplicationController))
	})
	scheme.AddTypeDefaultingFunc(&corev1.ReplicationControllerList{}, func(obj any) {
		for i := range obj.(*corev1.ReplicationControllerList).Items {
			SetReplicationControllerDefaults(&obj.(*corev1.ReplicationControllerList).Items[i])
		}
	})
}

// SetPodDefaults fills in what a Pod leaves out. Beyond a template's defaults,
// a container's requests come from its limits, and its ports on the machine's
// network from its own.
func SetPodDefaults(pod *corev1.Pod) {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			setRequestsFromLimits(&containers[i].Resources)
			if pod.Spec.HostNetwork {
				setHostPorts(containers[i].Ports)
			}
		}
	}
	if pod.Spec.EnableServiceLinks == nil {
		pod.Spec.EnableServiceLinks = ptr.To(corev1.DefaultEnableServiceLinks)
	}
	SetPodSpecDefaults(&pod.Spec)
}

func setHostPorts(ports []corev1.ContainerPort) {
	for i := range ports {
		setIfEmpty(&ports[i].HostPort, ports[i].ContainerPort)
	}
}

func setRequestsFromLimits(resources *corev1.ResourceRequirements) {
	for name, limit := range resources.Limits {
		if resources.Requests == nil {
			resources.Requests = corev1.ResourceList{}
		}
		if _, set := resources.Requests[name]; !set {
			resources.Requests[name] = limit.DeepCopy()
		}
	}
}

// SetPodSpecDefaults fills in what the spec of a Pod or of a template leaves out.
func SetPodSpecDefaults(spec *corev1.PodSpec) {
	setIfEmpty(&spec.DNSPolicy, corev1.DNSClusterFirst)
	setIfEmpty(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	setIfEmpty(&spec.SchedulerName, corev1.DefaultSchedulerName)
	setIfNil(&spec.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.DeprecatedServiceAccount == "" {
		spec.DeprecatedServiceAccount = spec.ServiceAccountName
	}
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	for i := range spec.Volumes {
		setVolumeDefaults(&spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		setContainerDefaults(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		setContainerDefaults(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		setContainerDefaults((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

func setContainerDefaults(container *corev1.Container) {
	setIfEmpty(&container.ImagePullPolicy, pullPolicyOf(container.Image))
	setIfEmpty(&container.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	setIfEmpty(&container.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range container.Ports {
		setIfEmpty(&container.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	setEnvDefaults(container.Env)
	for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
		setProbeDefaults(probe)
	}
	if hooks := container.Lifecycle; hooks != nil {
		for _, hook := range []*corev1.LifecycleHandler{hooks.PostStart, hooks.PreStop} {
			if hook != nil {
				setHTTPGetDefaults(hook.HTTPGet)
			}
		}
	}
}

func setEnvDefaults(env []corev1.EnvVar) {
	for i := range env {
		if source := env[i].ValueFrom; source != nil && source.FieldRef != nil {
			setIfEmpty(&source.FieldRef.APIVersion, "v1")
		}
	}
}

// pullPolicyOf is Always for an image that may change under its name: one
// without a tag, or tagged latest.
func pullPolicyOf(image string) corev1.PullPolicy {
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	_, tag, tagged := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !tagged || tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func setProbeDefaults(probe *corev1.Probe) {
	if probe == nil {
		return
	}
	setIfEmpty(&probe.TimeoutSeconds, 1)
	setIfEmpty(&probe.PeriodSeconds, 10)
	setIfEmpty(&probe.SuccessThreshold, 1)
	setIfEmpty(&probe.FailureThreshold, 3)
	setHTTPGetDefaults(probe.HTTPGet)
	if probe.GRPC != nil {
		setIfNil(&probe.GRPC.Service, "")
	}
}

func setHTTPGetDefaults(get *corev1.HTTPGetAction) {
	if get == nil {
		return
	}
	setIfEmpty(&get.Path, "/")
	setIfEmpty(&get.Scheme, corev1.URISchemeHTTP)
	if get.Port == (intstr.IntOrString{}) {
		get.Port = intstr.FromInt32(0)
	}
}

// SetReplicationControllerDefaults takes labels and selector from the template
// where they are left out.
func SetReplicationControllerDefaults(rc *corev1.ReplicationController) {
	setIfNil(&rc.Spec.Replicas, int32(1))
	if rc.Spec.Template == nil {
		return
	}
	if labels := rc.Spec.Template.Labels; len(labels) > 0 {
		if len(rc.Spec.Selector) == 0 {
			rc.Spec.Selector = labels
		}
		if len(rc.Labels) == 0 {
			rc.Labels = labels
		}
	}
	SetPodSpecDefaults(&rc.Spec.Template.Spec)
}

func setIfEmpty[T comparable](field *T, value T) {
	var empty T
	if *field == empty {
		*field = value
	}
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
