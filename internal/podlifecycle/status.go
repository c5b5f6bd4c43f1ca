package podlifecycle

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// status is what the Pod's status has to be, as a whole.
func (v *view) status() corev1.PodStatus {
	old := &v.Pod.Status
	// What others wrote there is not lost.
	status := *old.DeepCopy()
	status.ObservedGeneration = v.Pod.Generation
	status.QOSClass = QOSClass(v.Pod)
	status.Conditions, status.HostIPs, status.HostIP, status.PodIPs, status.PodIP = nil, nil, "", nil, ""
	status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses = nil, nil, nil
	if status.StartTime == nil {
		now := metav1.NewTime(v.Now)
		status.StartTime = &now
	}
	v.addAddresses(&status)
	spec := &v.Pod.Spec
	for i := range spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, v.containerStatus(&spec.InitContainers[i], old.InitContainerStatuses))
	}
	for i := range spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, v.containerStatus(&spec.Containers[i], old.ContainerStatuses))
	}
	for i := range spec.EphemeralContainers {
		status.EphemeralContainerStatuses = append(status.EphemeralContainerStatuses,
			v.containerStatus(asContainer(&spec.EphemeralContainers[i]), old.EphemeralContainerStatuses))
	}
	status.Phase = v.phase(&status)
	if v.outcome.overdue && !terminal(old.Phase) {
		status.Reason = "DeadlineExceeded"
		status.Message = "Pod was active on the node longer than the specified deadline"
	}
	v.addConditions(&status)
	return status
}

// addAddresses fills in the node's and the Pod's. A Pod that stops keeps the
// address it had; one that starts anew has none until its sandbox is there.
func (v *view) addAddresses(status *corev1.PodStatus) {
	for _, ip := range v.HostIPs {
		status.HostIPs = append(status.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(v.HostIPs) > 0 {
		status.HostIP = v.HostIPs[0]
	}
	var ips []string
	switch {
	case v.Pod.Spec.HostNetwork:
		ips = v.HostIPs
	case v.sandbox != nil:
		ips = v.sandbox.IPs
	case v.Pod.DeletionTimestamp != nil || v.finished():
		status.PodIP, status.PodIPs = v.Pod.Status.PodIP, v.Pod.Status.PodIPs
	}
	for _, ip := range ips {
		status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		status.PodIP = ips[0]
	}
}

// published is a container's status as it was published last.
func (v *view) published(name string) *corev1.ContainerStatus {
	old := &v.Pod.Status
	for _, list := range [][]corev1.ContainerStatus{old.InitContainerStatuses, old.ContainerStatuses, old.EphemeralContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
