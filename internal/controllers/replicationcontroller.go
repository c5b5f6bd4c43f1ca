package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"coxswain.dev/cox/internal/reconcile"
	"coxswain.dev/cox/internal/replicas"
)

func newReplicationControllers(b *base) (*loop, error) {
	return newSets(b, b.Core().V1().ReplicationControllers().Informer(), "replication-controller", reconcile.SetKind{
		Name: "ReplicationController",
		View: viewReplicationController,
		Live: func(ctx context.Context, k key) (metav1.Object, error) {
			return b.client.CoreV1().ReplicationControllers(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
		},
		WriteStatus: func(ctx context.Context, obj runtime.Object, status replicas.Status) (metav1.Object, error) {
			rc := obj.(*corev1.ReplicationController).DeepCopy()
			before := rc.Status
			rc.Status = corev1.ReplicationControllerStatus{
				Replicas: status.Replicas, FullyLabeledReplicas: status.FullyLabeledReplicas, ReadyReplicas: status.ReadyReplicas,
				AvailableReplicas: status.AvailableReplicas, ObservedGeneration: status.ObservedGeneration,
			}
			for _, condition := range before.Conditions {
				if condition.Type != corev1.ReplicationControllerReplicaFailure {
					rc.Status.Conditions = append(rc.Status.Conditions, condition) // somebody else's
				}
			}
			if failure := status.Failure; failure != nil {
				rc.Status.Conditions = append(rc.Status.Conditions, corev1.ReplicationControllerCondition{
					Type: corev1.ReplicationControllerReplicaFailure, Status: corev1.ConditionTrue,
					Reason: failure.Reason, Message: failure.Message, LastTransitionTime: failure.Since,
				})
			}
			if equality.Semantic.DeepEqual(before, rc.Status) {
				return rc, nil // this kind does not show its terminating Pods
			}
			return b.client.CoreV1().ReplicationControllers(rc.Namespace).UpdateStatus(ctx, rc, metav1.UpdateOptions{})
		},
	})
}

func viewReplicationController(obj any) (*replicas.Set, runtime.Object, error) {
	rc, ok := obj.(*corev1.ReplicationController)
	if !ok {
		return nil, nil, fmt.Errorf("a %T is not a ReplicationController", obj)
	}
	set := &replicas.Set{
		Kind: corev1.SchemeGroupVersion.WithKind("ReplicationController"), Meta: rc.ObjectMeta, Replicas: 1,
		Selector: labels.SelectorFromSet(rc.Spec.Selector), Template: rc.Spec.Template, MinReadySeconds: rc.Spec.MinReadySeconds,
		Status: replicas.Status{
			Replicas: rc.Status.Replicas, FullyLabeledReplicas: rc.Status.FullyLabeledReplicas, ReadyReplicas: rc.Status.ReadyReplicas,
			AvailableReplicas: rc.Status.AvailableReplicas, ObservedGeneration: rc.Status.ObservedGeneration,
		},
	}
	if rc.Spec.Replicas != nil {
		set.Replicas = *rc.Spec.Replicas
	}
	for _, condition := range rc.Status.Conditions {
		if condition.Type == corev1.ReplicationControllerReplicaFailure && condition.Status == corev1.ConditionTrue {
			set.Status.Failure = &replicas.Failure{Reason: condition.Reason, Message: condition.Message, Since: condition.LastTransitionTime}
		}
	}
	return set, rc, nil
}
