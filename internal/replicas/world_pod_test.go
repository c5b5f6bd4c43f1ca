package replicas_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/replicas"
)

// podOf makes a Pod of the set: an hour old, running and ready as long, on
// node n1. Settings say what is different:
//
//	owner=NAME|NAME@UID|none  labels=k=v,…  node=NAME|none  phase=…  ready=DURATION|no|unset  age=DURATION|none
//	cost=…  restarts=N  sidecarRestarts=N  uid=…  deleting
func (w *world) podOf(name string, settings []string) (*corev1.Pod, error) {
	hourAgo := metav1.NewTime(w.now.Add(-time.Hour))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "default", UID: types.UID("uid-of-" + name), ResourceVersion: "1",
			Labels: labelsOf("app=web"), CreationTimestamp: hourAgo,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&w.set.Meta, w.set.Kind)},
		},
		Spec: corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: hourAgo,
		}}},
	}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		if err := w.changePod(pod, key, value); err != nil {
			return nil, err
		}
	}
	return pod, nil
}

func (w *world) changePod(pod *corev1.Pod, key, value string) error {
	switch key {
	case "owner":
		name, uid, isOther := strings.Cut(value, "@")
		if !isOther {
			uid = "uid-of-" + name
		}
		pod.OwnerReferences[0].Name, pod.OwnerReferences[0].UID = name, types.UID(uid)
		if value == "none" {
			pod.OwnerReferences = nil
		}
	case "labels":
		pod.Labels = labelsOf(value)
	case "node":
		pod.Spec.NodeName = strings.TrimPrefix(value, "none")
	case "phase":
		pod.Status.Phase = corev1.PodPhase(value)
	case "cost":
		pod.Annotations = map[string]string{corev1.PodDeletionCost: value}
	case "uid":
		pod.UID = types.UID(value)
	case "deleting":
		pod.DeletionTimestamp = &metav1.Time{Time: w.now}
	case "restarts", "sidecarRestarts":
		return addRestarts(pod, key, value)
	case "routed":
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: replicas.RoutedCondition, Status: corev1.ConditionStatus(value)})
	case "ready":
		return w.changeReady(&pod.Status.Conditions[0], value)
	case "age":
		pod.CreationTimestamp = metav1.Time{}
		if value != "none" {
			age, err := time.ParseDuration(value)
			pod.CreationTimestamp = metav1.NewTime(w.now.Add(-age))
			return err
		}
	default:
		return fmt.Errorf("no such setting of a Pod: %q", key)
	}
	return nil
}

// changeReady takes how long the Pod has been ready; "no" if it is not, and
// "unset" if it is, but not known since when.
func (w *world) changeReady(ready *corev1.PodCondition, value string) error {
	switch value {
	case "no":
		ready.Status = corev1.ConditionFalse
	case "unset":
		ready.LastTransitionTime = metav1.Time{}
	default:
		since, err := time.ParseDuration(value)
		ready.LastTransitionTime = metav1.NewTime(w.now.Add(-since))
		return err
	}
	return nil
}

func addRestarts(pod *corev1.Pod, key, value string) error {
	count, err := strconv.ParseInt(value, 10, 32)
	if key == "restarts" {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: int32(count)}}
		return err
	}
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{{Name: "sidecar", RestartPolicy: &always}, {Name: "init"}}
	// An ordinary init container's restarts do not count.
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar", RestartCount: int32(count)}, {Name: "init", RestartCount: 99}}
	return err
}
