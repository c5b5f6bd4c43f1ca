package core

import (
	corev1 "k8s.io/api/core/v1"
)

// QOSClass is how a Pod is treated when the machine runs out of memory:
// Guaranteed if every container has equal requests and limits of CPU and
// memory, BestEffort if none has any, Burstable otherwise.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
func QOSClass(pod *corev1.Pod) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range containers {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, requested := container.Resources.Requests[name]
				limit, limited := container.Resources.Limits[name]
				any = any || requested && !request.IsZero() || limited && !limit.IsZero()
				if !limited || limit.IsZero() || requested && request.Cmp(limit) != 0 {
					guaranteed = false
				}
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	default:
		return corev1.PodQOSBurstable
	}
}
