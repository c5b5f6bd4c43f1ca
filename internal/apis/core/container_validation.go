package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// containers checks the containers of one Pod or template.
type containers struct {
	volumes sets.Set[string]
	names   sets.Set[string]
	// graceSeconds is how long the Pod may take to stop.
	graceSeconds int64
	hostNetwork  bool
	// isPod is false for a template, which may leave host ports open.
	isPod bool
}

func (c containers) validate(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Containers) == 0 {
		errs = append(errs, field.Required(path.Child("containers"), ""))
	}
	errs = append(errs, c.validateAll(spec.Containers, path.Child("containers"), func(container *corev1.Container, at *field.Path) field.ErrorList {
		errs := validateLifecycle(container.Lifecycle, c.graceSeconds, at.Child("lifecycle"))
		errs = append(errs, validateProbes(container, at)...)
		return append(errs, validateRestartOf(container, at.Child("restartPolicy"))...)
	})...)
	return append(errs, c.validateAll(spec.InitContainers, path.Child("initContainers"), c.validateInit)...)
}

// validateAll checks a list; host ports must differ within it.
func (c containers) validateAll(all []corev1.Container, path *field.Path, more func(*corev1.Container, *field.Path) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	taken := sets.New[string]()
	for i := range all {
		at := path.Index(i)
		errs = append(errs, c.validateOne(&all[i], at)...)
		errs = append(errs, more(&all[i], at)...)
		errs = append(errs, validateHostPorts(all[i].Ports, taken, at.Child("ports"))...)
		if c.hostNetwork {
			errs = append(errs, validateNetworkOfHost(all[i].Ports, c.isPod, at.Child("ports"))...)
		}
	}
	return errs
}

// validateInit checks an init container. One that restarts always is a
// sidecar, and may have what a container has.
func (c containers) validateInit(container *corev1.Container, path *field.Path) field.ErrorList {
	if policy := container.RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
		return append(validateLifecycle(container.Lifecycle, c.graceSeconds, path.Child("lifecycle")), validateProbes(container, path)...)
	}
	const message = "may not be set for init containers without restartPolicy=Always"
	errs := validateRestartOf(container, path.Child("restartPolicy"))
	for _, part := range []struct {
		name string
		set  bool
	}{{"lifecycle", container.Lifecycle != nil}, {"livenessProbe", container.LivenessProbe != nil},
		{"readinessProbe", container.ReadinessProbe != nil}, {"startupProbe", container.StartupProbe != nil}} {
		if part.set {
			errs = append(errs, field.Forbidden(path.Child(part.name), message))
		}
	}
	return errs
}

func validateRestartOf(container *corev1.Container, path *field.Path) field.ErrorList {
	if container.RestartPolicy == nil {
		return nil
	}
	return validateEnum(*container.RestartPolicy, path, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
}

// validateOne checks what every container has.
func (c containers) validateOne(container *corev1.Container, path *field.Path) field.ErrorList {
	errs := c.validateName(container.Name, path.Child("name"))
	if container.Image == "" {
		errs = append(errs, field.Required(path.Child("image"), ""))
	} else if c.isPod && strings.TrimSpace(container.Image) != container.Image {
		errs = append(errs, field.Invalid(path.Child("image"), container.Image, "must not have leading or trailing whitespace"))
	}
	errs = append(errs, validateEnum(container.TerminationMessagePolicy, path.Child("terminationMessagePolicy"), corev1.TerminationMessageFallbackToLogsOnError, corev1.TerminationMessageReadFile)...)
	errs = append(errs, validatePorts(container.Ports, path.Child("ports"))...)
	errs = append(errs, validateEnv(container.Env, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(container.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, validateMounts(container.VolumeMounts, c.volumes, isPrivileged(container.SecurityContext), path.Child("volumeMounts"))...)
	errs = append(errs, validateEnum(container.ImagePullPolicy, path.Child("imagePullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, ValidateResources(&container.Resources, path.Child("resources"))...)
	return append(errs, validateSecurity(container.SecurityContext, path.Child("securityContext"))...)
}

// validateName wants names that no other container of the Pod has.
func (c containers) validateName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, message := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	if c.names.Has(name) {
		errs = append(errs, field.Duplicate(path, name))
	}
	c.names.Insert(name)
	return errs
}

func isPrivileged(context *corev1.SecurityContext) bool {
	return context != nil && context.Privileged != nil && *context.Privileged
}
