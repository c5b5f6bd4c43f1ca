package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validatePorts(ports []corev1.ContainerPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, port := range ports {
		at := path.Index(i)
		if port.Name != "" {
			if messages := validation.IsValidPortName(port.Name); len(messages) > 0 {
				for _, message := range messages {
					errs = append(errs, field.Invalid(at.Child("name"), port.Name, message))
				}
			} else if names.Has(port.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), port.Name))
			}
			names.Insert(port.Name)
		}
		if port.ContainerPort == 0 {
			errs = append(errs, field.Required(at.Child("containerPort"), ""))
		} else {
			for _, message := range validation.IsValidPortNum(int(port.ContainerPort)) {
				errs = append(errs, field.Invalid(at.Child("containerPort"), port.ContainerPort, message))
			}
		}
		if port.HostPort != 0 {
			for _, message := range validation.IsValidPortNum(int(port.HostPort)) {
				errs = append(errs, field.Invalid(at.Child("hostPort"), port.HostPort, message))
			}
		}
		errs = append(errs, validateEnum(port.Protocol, at.Child("protocol"), corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	}
	return errs
}

// validateHostPorts refuses a host port that two containers of a Pod ask for.
func validateHostPorts(ports []corev1.ContainerPort, taken sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		if port.HostPort == 0 {
			continue
		}
		key := fmt.Sprintf("%s/%s/%d", port.Protocol, port.HostIP, port.HostPort)
		if taken.Has(key) {
			errs = append(errs, field.Duplicate(path.Index(i).Child("hostPort"), key))
		}
		taken.Insert(key)
	}
	return errs
}

// validateNetworkOfHost wants the ports of a Pod on the machine's own network
// to be the machine's. A template may leave them open: Pods get them filled in.
func validateNetworkOfHost(ports []corev1.ContainerPort, isPod bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		if (isPod || port.HostPort != 0) && port.HostPort != port.ContainerPort {
			errs = append(errs, field.Invalid(path.Index(i).Child("hostPort"), port.HostPort, "must match `containerPort` when `hostNetwork` is true"))
		}
	}
	return errs
}

func validatePortRef(port intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	messages := validation.IsValidPortName(port.StrVal)
	var value any = port.StrVal
	if port.Type == intstr.Int {
		messages, value = validation.IsValidPortNum(port.IntValue()), port.IntVal
	}
	for _, message := range messages {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}
