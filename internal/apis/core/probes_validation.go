package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateProbe(probe *corev1.Probe, path *field.Path) field.ErrorList {
	if probe == nil {
		return nil
	}
	errs := validateHandler(probe.Exec, probe.HTTPGet, probe.TCPSocket, probe.GRPC, nil, 0, path)
	for _, number := range []struct {
		name  string
		value int32
	}{{"initialDelaySeconds", probe.InitialDelaySeconds}, {"timeoutSeconds", probe.TimeoutSeconds}, {"periodSeconds", probe.PeriodSeconds},
		{"successThreshold", probe.SuccessThreshold}, {"failureThreshold", probe.FailureThreshold}} {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(number.value), path.Child(number.name))...)
	}
	if seconds := probe.TerminationGracePeriodSeconds; seconds != nil && *seconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("terminationGracePeriodSeconds"), *seconds, "must be greater than 0"))
	}
	return errs
}

// validateProbes checks the probes of a container that keeps running: those
// that may kill it succeed at once or not at all.
func validateProbes(container *corev1.Container, path *field.Path) field.ErrorList {
	errs := validateProbe(container.LivenessProbe, path.Child("livenessProbe"))
	if probe := container.LivenessProbe; probe != nil && probe.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(path.Child("livenessProbe", "successThreshold"), probe.SuccessThreshold, "must be 1"))
	}
	errs = append(errs, validateProbe(container.ReadinessProbe, path.Child("readinessProbe"))...)
	if probe := container.ReadinessProbe; probe != nil && probe.TerminationGracePeriodSeconds != nil {
		errs = append(errs, field.Invalid(path.Child("readinessProbe", "terminationGracePeriodSeconds"), probe.TerminationGracePeriodSeconds, "must not be set for readinessProbes"))
	}
	errs = append(errs, validateProbe(container.StartupProbe, path.Child("startupProbe"))...)
	if probe := container.StartupProbe; probe != nil && probe.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(path.Child("startupProbe", "successThreshold"), probe.SuccessThreshold, "must be 1"))
	}
	return errs
}

// validateLifecycle checks the hooks; a sleep ends within the grace period.
func validateLifecycle(hooks *corev1.Lifecycle, graceSeconds int64, path *field.Path) field.ErrorList {
	if hooks == nil {
		return nil
	}
	var errs field.ErrorList
	if hook := hooks.PostStart; hook != nil {
		errs = append(errs, validateHandler(hook.Exec, hook.HTTPGet, hook.TCPSocket, nil, hook.Sleep, graceSeconds, path.Child("postStart"))...)
	}
	if hook := hooks.PreStop; hook != nil {
		errs = append(errs, validateHandler(hook.Exec, hook.HTTPGet, hook.TCPSocket, nil, hook.Sleep, graceSeconds, path.Child("preStop"))...)
	}
	return errs
}

// validateHandler wants one way of asking or telling a container.
func validateHandler(exec *corev1.ExecAction, get *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, grpc *corev1.GRPCAction, sleep *corev1.SleepAction, graceSeconds int64, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	kinds := 0
	kind := func(name string, given bool, validate func(at *field.Path) field.ErrorList) {
		switch {
		case !given:
		case kinds > 0:
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 handler type"))
		default:
			kinds++
			errs = append(errs, validate(path.Child(name))...)
		}
	}
	kind("exec", exec != nil, func(at *field.Path) field.ErrorList {
		if len(exec.Command) == 0 {
			return field.ErrorList{field.Required(at.Child("command"), "")}
		}
		return nil
	})
	kind("httpGet", get != nil, func(at *field.Path) field.ErrorList { return validateHTTPGet(get, at) })
	kind("tcpSocket", tcp != nil, func(at *field.Path) field.ErrorList { return validatePortRef(tcp.Port, at.Child("port")) })
	kind("grpc", grpc != nil, func(at *field.Path) field.ErrorList {
		return validatePortRef(intstr.FromInt32(grpc.Port), at.Child("port"))
	})
	kind("sleep", sleep != nil, func(at *field.Path) field.ErrorList {
		if sleep.Seconds < 0 || sleep.Seconds > graceSeconds {
			return field.ErrorList{field.Invalid(at, sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", graceSeconds))}
		}
		return nil
	})
	if kinds == 0 {
		errs = append(errs, field.Required(path, "must specify a handler type"))
	}
	return errs
}

func validateHTTPGet(get *corev1.HTTPGetAction, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if get.Path == "" {
		errs = append(errs, field.Required(path.Child("path"), ""))
	}
	errs = append(errs, validatePortRef(get.Port, path.Child("port"))...)
	errs = append(errs, validateEnum(get.Scheme, path.Child("scheme"), corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
	for i, header := range get.HTTPHeaders {
		for _, message := range validation.IsHTTPHeaderName(header.Name) {
			errs = append(errs, field.Invalid(path.Child("httpHeaders").Index(i).Child("name"), header.Name, message))
		}
	}
	return errs
}
