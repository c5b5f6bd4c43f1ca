package objects

import (
	corev1 "k8s.io/api/core/v1"
)

// UsedBy are the objects that a Pod's volumes and environment name.
func UsedBy(pod *corev1.Pod) []Key {
	var keys []Key
	add := func(kind Kind, name string) {
		if name != "" {
			keys = append(keys, Key{kind, pod.Namespace, name})
		}
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if source := volume.ConfigMap; source != nil {
			add(ConfigMaps, source.Name)
		}
		if source := volume.Secret; source != nil {
			add(Secrets, source.SecretName)
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil {
				add(ConfigMaps, source.ConfigMap.Name)
			}
			if source.Secret != nil {
				add(Secrets, source.Secret.Name)
			}
		}
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			addEnv(&list[i], add)
		}
	}
	return keys
}

func addEnv(c *corev1.Container, add func(Kind, string)) {
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			add(ConfigMaps, from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			add(Secrets, from.SecretRef.Name)
		}
	}
	for _, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		if ref := env.ValueFrom.ConfigMapKeyRef; ref != nil {
			add(ConfigMaps, ref.Name)
		}
		if ref := env.ValueFrom.SecretKeyRef; ref != nil {
			add(Secrets, ref.Name)
		}
	}
}
