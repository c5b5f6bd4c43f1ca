package reconcile

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"coxswain.dev/cox/internal/replicas"
)

// ReplicaSets is the kind ReplicaSet, written with client.
func ReplicaSets(client func(namespace string) Client[*appsv1.ReplicaSet]) SetKind {
	return SetKind{
		Name: "ReplicaSet",
		View: viewReplicaSet,
		Live: func(ctx context.Context, k Key) (metav1.Object, error) {
			return client(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
		},
		WriteStatus: func(ctx context.Context, obj runtime.Object, status replicas.Status) (metav1.Object, error) {
			rs := withStatus(obj.(*appsv1.ReplicaSet), status)
			return client(rs.Namespace).UpdateStatus(ctx, rs, metav1.UpdateOptions{})
		},
	}
}

// withStatus is a copy of a ReplicaSet that shows status.
func withStatus(stored *appsv1.ReplicaSet, status replicas.Status) *appsv1.ReplicaSet {
	copied := *stored
	rs := &copied
	terminating := status.TerminatingReplicas
	rs.Status = appsv1.ReplicaSetStatus{
		Replicas: status.Replicas, FullyLabeledReplicas: status.FullyLabeledReplicas, ReadyReplicas: status.ReadyReplicas,
		AvailableReplicas: status.AvailableReplicas, TerminatingReplicas: &terminating, ObservedGeneration: status.ObservedGeneration,
	}
	for _, condition := range stored.Status.Conditions {
		if condition.Type != appsv1.ReplicaSetReplicaFailure {
			rs.Status.Conditions = append(rs.Status.Conditions, condition) // somebody else's
		}
	}
	if failure := status.Failure; failure != nil {
		rs.Status.Conditions = append(rs.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
			Reason: failure.Reason, Message: failure.Message, LastTransitionTime: failure.Since,
		})
	}
	return rs
}

func viewReplicaSet(obj any) (*replicas.Set, runtime.Object, error) {
	rs, ok := obj.(*appsv1.ReplicaSet)
	if !ok {
		return nil, nil, fmt.Errorf("a %T is not a ReplicaSet", obj)
	}
	selector, err := selectorOf(rs.Spec.Selector)
	if err != nil {
		return nil, nil, fmt.Errorf("ReplicaSet %s/%s: spec.selector: %w", rs.Namespace, rs.Name, err)
	}
	set := &replicas.Set{
		Kind: appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), Meta: rs.ObjectMeta, Replicas: 1,
		Selector: selector, Template: &rs.Spec.Template, MinReadySeconds: rs.Spec.MinReadySeconds,
		Status: replicas.Status{
			Replicas: rs.Status.Replicas, FullyLabeledReplicas: rs.Status.FullyLabeledReplicas, ReadyReplicas: rs.Status.ReadyReplicas,
			AvailableReplicas: rs.Status.AvailableReplicas, ObservedGeneration: rs.Status.ObservedGeneration,
		},
	}
	if rs.Spec.Replicas != nil {
		set.Replicas = *rs.Spec.Replicas
	}
	if rs.Status.TerminatingReplicas != nil {
		set.Status.TerminatingReplicas = *rs.Status.TerminatingReplicas
	}
	for _, condition := range rs.Status.Conditions {
		if condition.Type == appsv1.ReplicaSetReplicaFailure && condition.Status == corev1.ConditionTrue {
			set.Status.Failure = &replicas.Failure{Reason: condition.Reason, Message: condition.Message, Since: condition.LastTransitionTime}
		}
	}
	return set, rs, nil
}

// selectorOf is a label selector ready to match. One of labels only, as almost
// all are, needs no parsing: the API has validated it.
func selectorOf(selector *metav1.LabelSelector) (labels.Selector, error) {
	if selector != nil && len(selector.MatchExpressions) == 0 && len(selector.MatchLabels) > 0 {
		return labels.ValidatedSetSelector(selector.MatchLabels), nil
	}
	return metav1.LabelSelectorAsSelector(selector)
}
