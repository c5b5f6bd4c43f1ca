package reconcile

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/replicas"
)

func TestStatusKeepsForeignConditions(t *testing.T) {
	stored := &appsv1.ReplicaSet{Status: appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{
		{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "Old"},
		{Type: "Theirs", Status: corev1.ConditionTrue},
	}}}
	got := withStatus(stored, replicas.Status{}).Status.Conditions
	if len(got) != 1 || got[0].Type != "Theirs" {
		t.Errorf("without a failure: %v, want theirs only", got)
	}
	got = withStatus(stored, replicas.Status{Failure: &replicas.Failure{Reason: "New"}}).Status.Conditions
	if len(got) != 2 || got[0].Type != "Theirs" || got[1].Reason != "New" {
		t.Errorf("with a failure: %v, want theirs and the new failure", got)
	}
}
