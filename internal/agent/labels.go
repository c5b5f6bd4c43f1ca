package agent

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

// What sandboxes and containers carry, by the names that other tools know.
const (
	podNameLabel       = "io.kubernetes.pod.name"
	podNamespaceLabel  = "io.kubernetes.pod.namespace"
	podUIDLabel        = "io.kubernetes.pod.uid"
	containerNameLabel = "io.kubernetes.container.name"

	hashAnnotation          = "io.kubernetes.container.hash"
	restartCountAnnotation  = "io.kubernetes.container.restartCount"
	messagePathAnnotation   = "io.kubernetes.container.terminationMessagePath"
	messagePolicyAnnotation = "io.kubernetes.container.terminationMessagePolicy"
	graceAnnotation         = "io.kubernetes.pod.terminationGracePeriod"
	// backoffAnnotation is the back-off after which the container was started.
	backoffAnnotation = "coxswain.dev/back-off"
)

func podLabels(pod *corev1.Pod) map[string]string {
	labels := map[string]string{}
	for key, value := range pod.Labels {
		labels[key] = value
	}
	labels[podNameLabel] = pod.Name
	labels[podNamespaceLabel] = pod.Namespace
	labels[podUIDLabel] = string(pod.UID)
	return labels
}

func containerLabels(pod *corev1.Pod, c *corev1.Container) map[string]string {
	return map[string]string{
		podNameLabel:       pod.Name,
		podNamespaceLabel:  pod.Namespace,
		podUIDLabel:        string(pod.UID),
		containerNameLabel: c.Name,
	}
}

func containerAnnotations(pod *corev1.Pod, c *corev1.Container, start podlifecycle.StartContainer) map[string]string {
	annotations := map[string]string{
		hashAnnotation:          start.Hash,
		restartCountAnnotation:  strconv.Itoa(start.RestartCount),
		backoffAnnotation:       start.Backoff.String(),
		messagePathAnnotation:   c.TerminationMessagePath,
		messagePolicyAnnotation: string(c.TerminationMessagePolicy),
	}
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace != nil {
		annotations[graceAnnotation] = strconv.FormatInt(*grace, 10)
	}
	return annotations
}

// remember reads back what containerAnnotations wrote.
func remember(c *podlifecycle.Container, annotations map[string]string) {
	// A container of another maker has none, and counts as the first.
	c.RestartCount, _ = strconv.Atoi(annotations[restartCountAnnotation])
	c.Backoff, _ = time.ParseDuration(annotations[backoffAnnotation])
	c.Hash = annotations[hashAnnotation]
}
