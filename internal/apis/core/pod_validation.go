package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidatePod checks a new, defaulted Pod beyond its metadata.
func ValidatePod(pod *corev1.Pod) field.ErrorList {
	return ValidatePodSpec(&pod.Spec, field.NewPath("spec"))
}

// ValidatePodTemplate checks the template of a controller.
func ValidatePodTemplate(template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(template.Labels, path.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(template.Annotations, path.Child("annotations"))...)
	errs = append(errs, ValidatePodSpec(&template.Spec, path.Child("spec"))...)
	if len(template.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(path.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

// ValidatePodSpec checks what a Pod is made of.
func ValidatePodSpec(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	volumes, errs := validateVolumes(spec.Volumes, path.Child("volumes"))
	errs = append(errs, validateContainers(spec, volumes, path)...)
	errs = append(errs, validateEnum(spec.RestartPolicy, path.Child("restartPolicy"), corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, validateEnum(spec.DNSPolicy, path.Child("dnsPolicy"), corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	errs = append(errs, metav1validation.ValidateLabels(spec.NodeSelector, path.Child("nodeSelector"))...)
	if spec.ServiceAccountName != "" {
		for _, message := range apivalidation.ValidateServiceAccountName(spec.ServiceAccountName, false) {
			errs = append(errs, field.Invalid(path.Child("serviceAccountName"), spec.ServiceAccountName, message))
		}
	}
	if spec.NodeName != "" {
		for _, message := range apivalidation.NameIsDNSSubdomain(spec.NodeName, false) {
			errs = append(errs, field.Invalid(path.Child("nodeName"), spec.NodeName, message))
		}
	}
	if seconds := spec.ActiveDeadlineSeconds; seconds != nil && (*seconds < 1 || *seconds > 1<<31-1) {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *seconds, validation.InclusiveRangeError(1, 1<<31-1)))
	}
	if seconds := spec.TerminationGracePeriodSeconds; seconds != nil && *seconds < 0 {
		errs = append(errs, field.Invalid(path.Child("terminationGracePeriodSeconds"), *seconds, apivalidation.IsNegativeErrorMsg))
	}
	for name, value := range map[string]string{"hostname": spec.Hostname, "subdomain": spec.Subdomain} {
		if value != "" {
			for _, message := range validation.IsDNS1123Label(value) {
				errs = append(errs, field.Invalid(path.Child(name), value, message))
			}
		}
	}
	errs = append(errs, validateTolerations(spec.Tolerations, path.Child("tolerations"))...)
	return errs
}

func validateContainers(spec *corev1.PodSpec, volumes sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Containers) == 0 {
		errs = append(errs, field.Required(path.Child("containers"), ""))
	}
	names := sets.New[string]()
	for i := range spec.InitContainers {
		at := path.Child("initContainers").Index(i)
		errs = append(errs, validateContainer(&spec.InitContainers[i], volumes, names, at)...)
		errs = append(errs, validateInitContainer(&spec.InitContainers[i], at)...)
	}
	hostPorts := sets.New[string]()
	for i := range spec.Containers {
		at := path.Child("containers").Index(i)
		errs = append(errs, validateContainer(&spec.Containers[i], volumes, names, at)...)
		errs = append(errs, validateHostPorts(spec.Containers[i].Ports, hostPorts, at.Child("ports"))...)
	}
	return errs
}

// validateInitContainer refuses what only makes sense for a container that
// keeps running.
func validateInitContainer(container *corev1.Container, path *field.Path) field.ErrorList {
	if policy := container.RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
		return nil
	}
	var errs field.ErrorList
	const message = "may not be set for init containers without restartPolicy=Always"
	if container.Lifecycle != nil {
		errs = append(errs, field.Forbidden(path.Child("lifecycle"), message))
	}
	if container.LivenessProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("livenessProbe"), message))
	}
	if container.ReadinessProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("readinessProbe"), message))
	}
	if container.StartupProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("startupProbe"), message))
	}
	return errs
}

func validateContainer(container *corev1.Container, volumes, names sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if container.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		for _, message := range validation.IsDNS1123Label(container.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), container.Name, message))
		}
		if names.Has(container.Name) {
			errs = append(errs, field.Duplicate(path.Child("name"), container.Name))
		}
		names.Insert(container.Name)
	}
	if container.Image == "" {
		errs = append(errs, field.Required(path.Child("image"), ""))
	} else if strings.TrimSpace(container.Image) != container.Image {
		errs = append(errs, field.Invalid(path.Child("image"), container.Image, "must not have leading or trailing whitespace"))
	}
	errs = append(errs, validateEnum(container.ImagePullPolicy, path.Child("imagePullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, validateEnum(container.TerminationMessagePolicy, path.Child("terminationMessagePolicy"), corev1.TerminationMessageFallbackToLogsOnError, corev1.TerminationMessageReadFile)...)
	errs = append(errs, validatePorts(container.Ports, path.Child("ports"))...)
	errs = append(errs, validateEnv(container.Env, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(container.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, validateMounts(container.VolumeMounts, volumes, path.Child("volumeMounts"))...)
	errs = append(errs, ValidateResources(&container.Resources, path.Child("resources"))...)
	errs = append(errs, validateProbe(container.LivenessProbe, true, path.Child("livenessProbe"))...)
	errs = append(errs, validateProbe(container.ReadinessProbe, false, path.Child("readinessProbe"))...)
	errs = append(errs, validateProbe(container.StartupProbe, true, path.Child("startupProbe"))...)
	if hooks := container.Lifecycle; hooks != nil {
		if hook := hooks.PostStart; hook != nil {
			errs = append(errs, validateHandler(hook.Exec, hook.HTTPGet, hook.TCPSocket, nil, hook.Sleep, path.Child("lifecycle", "postStart"))...)
		}
		if hook := hooks.PreStop; hook != nil {
			errs = append(errs, validateHandler(hook.Exec, hook.HTTPGet, hook.TCPSocket, nil, hook.Sleep, path.Child("lifecycle", "preStop"))...)
		}
	}
	return errs
}

// validateEnum accepts one of the values, which are shown in the error.
func validateEnum[T ~string](value T, path *field.Path, allowed ...T) field.ErrorList {
	for _, one := range allowed {
		if value == one {
			return nil
		}
	}
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

func validateTolerations(tolerations []corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, toleration := range tolerations {
		at := path.Index(i)
		if toleration.Key != "" {
			errs = append(errs, metav1validation.ValidateLabelName(toleration.Key, at.Child("key"))...)
		}
		if toleration.Key == "" && toleration.Operator != corev1.TolerationOpExists {
			errs = append(errs, field.Invalid(at.Child("operator"), toleration.Operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
		}
		if toleration.TolerationSeconds != nil && toleration.Effect != corev1.TaintEffectNoExecute {
			errs = append(errs, field.Invalid(at.Child("effect"), toleration.Effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
		}
		switch toleration.Operator {
		case corev1.TolerationOpEqual, "":
			if message := validation.IsValidLabelValue(toleration.Value); len(message) != 0 {
				errs = append(errs, field.Invalid(at.Child("operator"), toleration.Value, strings.Join(message, ";")))
			}
		case corev1.TolerationOpExists:
			if toleration.Value != "" {
				errs = append(errs, field.Invalid(at.Child("operator"), toleration, "value must be empty when `operator` is 'Exists'"))
			}
		default:
			errs = append(errs, field.NotSupported(at.Child("operator"), toleration.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		}
	}
	return errs
}

// validateGatesOnlyGo allows scheduling gates to be taken away, not to be added.
func validateGatesOnlyGo(gates, old []corev1.PodSchedulingGate, path *field.Path) field.ErrorList {
	errs := field.ErrorList{}
	for i, gate := range gates {
		if !slices.Contains(old, gate) {
			errs = append(errs, field.Forbidden(path.Index(i).Child("name"), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", gate.Name)))
		}
	}
	return errs
}

// ValidatePodUpdate allows what upstream allows to change in a Pod: images,
// deadlines, tolerations that are added, gates that go, and the grace period of -1.
func ValidatePodUpdate(pod, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("spec")
	errs := field.ErrorList{}
	if len(pod.Spec.Containers) != len(old.Spec.Containers) {
		return append(errs, field.Forbidden(path.Child("containers"), "pod updates may not add or remove containers"))
	}
	if len(pod.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return append(errs, field.Forbidden(path.Child("initContainers"), "pod updates may not add or remove containers"))
	}
	same := pod.Spec.DeepCopy()
	for i := range same.Containers {
		if pod.Spec.Containers[i].Image == "" {
			errs = append(errs, field.Required(path.Child("containers").Index(i).Child("image"), ""))
		}
		same.Containers[i].Image = old.Spec.Containers[i].Image
	}
	for i := range same.InitContainers {
		same.InitContainers[i].Image = old.Spec.InitContainers[i].Image
	}
	same.ActiveDeadlineSeconds = old.Spec.ActiveDeadlineSeconds
	same.Tolerations = old.Spec.Tolerations
	errs = append(errs, validateGatesOnlyGo(pod.Spec.SchedulingGates, old.Spec.SchedulingGates, path.Child("schedulingGates"))...)
	same.SchedulingGates = old.Spec.SchedulingGates
	same.TerminationGracePeriodSeconds = old.Spec.TerminationGracePeriodSeconds
	if !apiEqual(same, &old.Spec) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("pod updates may not change fields other than %s\n%v",
			"`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)", specDiff(&old.Spec, same))))
	}
	return errs
}
