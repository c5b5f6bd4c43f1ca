package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func apiEqual(a, b *corev1.PodSpec) bool { return equality.Semantic.DeepEqual(a, b) }

func specDiff(old, changed *corev1.PodSpec) string { return diff.Diff(old, changed) }

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
		errs = append(errs, validateEnum(port.Protocol, at.Child("protocol"), corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
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
		key := strings.Join([]string{string(port.Protocol), port.HostIP, string(rune(port.HostPort))}, "/")
		if taken.Has(key) {
			errs = append(errs, field.Duplicate(path.Index(i).Child("hostPort"), port.HostPort))
		}
		taken.Insert(key)
	}
	return errs
}

func validateEnv(env []corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, variable := range env {
		at := path.Index(i)
		if variable.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			for _, message := range validation.IsRelaxedEnvVarName(variable.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), variable.Name, message))
			}
		}
		if variable.ValueFrom != nil {
			errs = append(errs, validateEnvSource(variable, at.Child("valueFrom"))...)
		}
	}
	return errs
}

func validateEnvSource(variable corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	source, sources := variable.ValueFrom, 0
	if source.FieldRef != nil {
		sources++
		if source.FieldRef.FieldPath == "" {
			errs = append(errs, field.Required(path.Child("fieldRef", "fieldPath"), ""))
		}
	}
	if source.ResourceFieldRef != nil {
		sources++
		if source.ResourceFieldRef.Resource == "" {
			errs = append(errs, field.Required(path.Child("resourceFieldRef", "resource"), ""))
		}
	}
	if source.ConfigMapKeyRef != nil {
		sources++
		errs = append(errs, validateKey(source.ConfigMapKeyRef.Key, path.Child("configMapKeyRef", "key"))...)
	}
	if source.SecretKeyRef != nil {
		sources++
		errs = append(errs, validateKey(source.SecretKeyRef.Key, path.Child("secretKeyRef", "key"))...)
	}
	if source.FileKeyRef != nil {
		sources++
	}
	switch {
	case sources == 0:
		errs = append(errs, field.Invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case variable.Value != "":
		errs = append(errs, field.Invalid(path, "", "may not be specified when `value` is not empty"))
	case sources > 1:
		errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func validateKey(key string, path *field.Path) field.ErrorList {
	if key == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(path, key, message))
	}
	return errs
}

func validateEnvFrom(sources []corev1.EnvFromSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, source := range sources {
		at := path.Index(i)
		count := 0
		if source.ConfigMapRef != nil {
			count++
			if source.ConfigMapRef.Name == "" {
				errs = append(errs, field.Required(at.Child("configMapRef", "name"), ""))
			}
		}
		if source.SecretRef != nil {
			count++
			if source.SecretRef.Name == "" {
				errs = append(errs, field.Required(at.Child("secretRef", "name"), ""))
			}
		}
		if count == 0 {
			errs = append(errs, field.Invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
		} else if count > 1 {
			errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}

func validateMounts(mounts []corev1.VolumeMount, volumes sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	paths := sets.New[string]()
	for i, mount := range mounts {
		at := path.Index(i)
		if mount.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else if !volumes.Has(mount.Name) {
			errs = append(errs, field.NotFound(at.Child("name"), mount.Name))
		}
		if mount.MountPath == "" {
			errs = append(errs, field.Required(at.Child("mountPath"), ""))
		}
		if paths.Has(mount.MountPath) {
			errs = append(errs, field.Invalid(at.Child("mountPath"), mount.MountPath, "must be unique"))
		}
		paths.Insert(mount.MountPath)
		if mount.SubPath != "" && mount.SubPathExpr != "" {
			errs = append(errs, field.Invalid(at.Child("subPathExpr"), mount.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
		}
		for name, sub := range map[string]string{"subPath": mount.SubPath, "subPathExpr": mount.SubPathExpr} {
			errs = append(errs, validateLocalPath(sub, at.Child(name))...)
		}
	}
	return errs
}

// validateLocalPath keeps a path inside the place it is relative to.
func validateLocalPath(path string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(path, "/") {
		errs = append(errs, field.Invalid(at, path, "must be a relative path"))
	}
	for _, part := range strings.Split(path, "/") {
		if part == ".." {
			errs = append(errs, field.Invalid(at, path, "must not contain '..'"))
			break
		}
	}
	return errs
}

// ValidateResources checks requests and limits.
func ValidateResources(resources *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, quantity := range resources.Limits {
		at := path.Child("limits").Key(string(name))
		errs = append(errs, validateResourceName(name, at)...)
		if quantity.Sign() < 0 {
			errs = append(errs, field.Invalid(at, quantity.String(), apivalidation.IsNegativeErrorMsg))
		}
	}
	for name, quantity := range resources.Requests {
		at := path.Child("requests").Key(string(name))
		errs = append(errs, validateResourceName(name, at)...)
		if quantity.Sign() < 0 {
			errs = append(errs, field.Invalid(at, quantity.String(), apivalidation.IsNegativeErrorMsg))
		}
		if limit, limited := resources.Limits[name]; limited && quantity.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests"), quantity.String(), "must be less than or equal to "+string(name)+" limit of "+limit.String()))
		}
	}
	return errs
}

func validateResourceName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsQualifiedName(string(name)) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	if len(errs) > 0 || strings.Contains(string(name), "/") {
		return errs
	}
	switch {
	case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
		strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
		return nil
	}
	return field.ErrorList{field.Invalid(path, name, "must be a standard resource type or fully qualified")}
}

func validateProbe(probe *corev1.Probe, successOnce bool, path *field.Path) field.ErrorList {
	if probe == nil {
		return nil
	}
	errs := validateHandler(probe.Exec, probe.HTTPGet, probe.TCPSocket, probe.GRPC, nil, path)
	for name, value := range map[string]int32{
		"initialDelaySeconds": probe.InitialDelaySeconds, "timeoutSeconds": probe.TimeoutSeconds, "periodSeconds": probe.PeriodSeconds,
		"successThreshold": probe.SuccessThreshold, "failureThreshold": probe.FailureThreshold,
	} {
		if value < 0 {
			errs = append(errs, field.Invalid(path.Child(name), value, apivalidation.IsNegativeErrorMsg))
		}
	}
	if successOnce && probe.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(path.Child("successThreshold"), probe.SuccessThreshold, "must be 1"))
	}
	return errs
}

func validateHandler(exec *corev1.ExecAction, get *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, grpc *corev1.GRPCAction, sleep *corev1.SleepAction, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	kinds := 0
	kind := func(name string) {
		if kinds++; kinds > 1 {
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 handler type"))
		}
	}
	if exec != nil {
		kind("exec")
		if len(exec.Command) == 0 {
			errs = append(errs, field.Required(path.Child("exec", "command"), ""))
		}
	}
	if get != nil {
		kind("httpGet")
		errs = append(errs, validatePortRef(get.Port, path.Child("httpGet", "port"))...)
		errs = append(errs, validateEnum(get.Scheme, path.Child("httpGet", "scheme"), corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
	}
	if tcp != nil {
		kind("tcpSocket")
		errs = append(errs, validatePortRef(tcp.Port, path.Child("tcpSocket", "port"))...)
	}
	if grpc != nil {
		kind("grpc")
		errs = append(errs, validatePortRef(intstr.FromInt32(grpc.Port), path.Child("grpc", "port"))...)
	}
	if sleep != nil {
		kind("sleep")
	}
	if kinds == 0 {
		errs = append(errs, field.Required(path, "must specify a handler type"))
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

func validateVolumes(volumes []corev1.Volume, path *field.Path) (sets.Set[string], field.ErrorList) {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, volume := range volumes {
		at := path.Index(i)
		if volume.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			for _, message := range validation.IsDNS1123Label(volume.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), volume.Name, message))
			}
			if names.Has(volume.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), volume.Name))
			}
			names.Insert(volume.Name)
		}
		errs = append(errs, validateVolumeSource(&volume.VolumeSource, at)...)
	}
	return names, errs
}

func validateVolumeSource(source *corev1.VolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if source.HostPath != nil && source.HostPath.Path == "" {
		errs = append(errs, field.Required(path.Child("hostPath", "path"), ""))
	}
	if source.Secret != nil && source.Secret.SecretName == "" {
		errs = append(errs, field.Required(path.Child("secret", "secretName"), ""))
	}
	if source.ConfigMap != nil && source.ConfigMap.Name == "" {
		errs = append(errs, field.Required(path.Child("configMap", "name"), ""))
	}
	return errs
}
