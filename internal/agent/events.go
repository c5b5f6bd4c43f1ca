package agent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"coxswain.dev/cox/internal/podlifecycle"
)

// startEvents makes the recorder, under the name that users know.
func (a *Agent) startEvents() {
	a.broadcaster = record.NewBroadcaster(record.WithContext(context.Background()))
	a.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: a.config.Client.CoreV1().Events("")})
	a.events = a.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: a.config.NodeName})
}

// event records an event about a Pod or one of its containers.
func (a *Agent) event(pod *corev1.Pod, container, kind, reason, message string) {
	if pod.Name == "" {
		return // what is left of a Pod that nobody knows any more
	}
	about := &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		ResourceVersion: pod.ResourceVersion, FieldPath: fieldPath(pod, container),
	}
	a.events.Event(about, kind, reason, message)
}

// fieldPath is where a container stands in its Pod.
func fieldPath(pod *corev1.Pod, name string) string {
	if name == "" {
		return ""
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return fmt.Sprintf("spec.initContainers{%s}", name)
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return fmt.Sprintf("spec.ephemeralContainers{%s}", name)
		}
	}
	return fmt.Sprintf("spec.containers{%s}", name)
}

// tell records those events of a decision that the one before did not have.
// The caller holds the lock.
func (w *worker) tell(events []podlifecycle.Event) {
	now := map[podlifecycle.Event]bool{}
	for _, event := range events {
		now[event] = true
		if !w.told[event] && !w.gone {
			w.agent.event(w.pod, event.Container, event.Type, event.Reason, event.Message)
		}
	}
	w.told = now
}
