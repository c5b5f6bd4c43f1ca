package rollout_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/rollout"
)

func bound(text string) *intstr.IntOrString {
	value := intstr.Parse(text)
	if word, ok := strings.CutPrefix(text, "text:"); ok {
		value = intstr.FromString(word)
	}
	return &value
}

// selectors of the setting selector; nil by any other name.
var selectors = map[string]*metav1.LabelSelector{
	"empty":      {},
	"expression": {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}},
	"senseless":  {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Resembles"}}},
}

func (w *world) changeDeployment(settings []string) error {
	spec := &w.deployment.Spec
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		parsed, _ := strconv.ParseInt(value, 10, 32)
		number := int32(parsed)
		switch name {
		case "replicas":
			spec.Replicas = &number
		case "image":
			spec.Template = template(value)
		case "tier":
			spec.Template.Labels["tier"] = value
		case "surge":
			spec.Strategy.RollingUpdate.MaxSurge = bound(value)
		case "unavailable":
			spec.Strategy.RollingUpdate.MaxUnavailable = bound(value)
		case "unbounded":
			spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		case "strategy":
			spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.DeploymentStrategyType(value)}
		case "paused", "resumed":
			spec.Paused = name == "paused"
		case "minReady":
			spec.MinReadySeconds = number
		case "unlimited":
			spec.RevisionHistoryLimit = nil
		case "limit":
			spec.RevisionHistoryLimit = &number
		case "deadline":
			spec.ProgressDeadlineSeconds = &number
		case "deleting":
			w.deployment.DeletionTimestamp = &metav1.Time{Time: w.now}
		case "annotate":
			key, text, _ := strings.Cut(value, ":")
			metav1.SetMetaDataAnnotation(&w.deployment.ObjectMeta, key, text)
		case "collisions":
			w.deployment.Status.CollisionCount = &number
		case "selector":
			spec.Selector = selectors[value]
		default:
			return fmt.Errorf("no such setting of a Deployment: %q", name)
		}
	}
	return nil
}

// changeSet makes a ReplicaSet of the Deployment, a minute younger than the
// one before, or changes what is said of it. pods=N is N Pods, ready and available.
func (w *world) changeSet(name string, settings []string) error {
	rs := w.sets[name]
	if rs == nil {
		none := int32(0)
		made := template("v1")
		made.Labels["pod-template-hash"] = name
		rs = &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-of-" + name), Generation: 1,
				Labels: made.Labels, Annotations: map[string]string{}, OwnerReferences: w.owner(),
				CreationTimestamp: metav1.NewTime(start.Add(time.Duration(len(w.sets)-100) * time.Minute))},
			Spec: appsv1.ReplicaSetSpec{Replicas: &none, Template: made, Selector: &metav1.LabelSelector{MatchLabels: made.Labels}},
		}
		rs.Status.ObservedGeneration, rs.Status.TerminatingReplicas = 1, new(int32)
		w.sets[name] = rs
	}
	for _, setting := range settings {
		if err := w.change(rs, setting); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) change(rs *appsv1.ReplicaSet, setting string) error {
	name, value, _ := strings.Cut(setting, "=")
	parsed, _ := strconv.ParseInt(value, 10, 32)
	number := int32(parsed)
	status := &rs.Status
	switch name {
	case "image":
		rs.Spec.Template.Spec.Containers[0].Image = value
	case "replicas":
		rs.Spec.Replicas = &number
	case "pods":
		status.Replicas, status.ReadyReplicas, status.AvailableReplicas = number, number, number
	case "ready":
		status.ReadyReplicas = number
	case "available":
		status.AvailableReplicas = number
	case "terminating":
		status.TerminatingReplicas = &number
		if value == "unknown" {
			status.TerminatingReplicas = nil
		}
	case "as-old-as":
		rs.CreationTimestamp = w.sets[value].CreationTimestamp
	case "observed":
		status.ObservedGeneration = int64(number)
	case "revision":
		rs.Annotations[rollout.RevisionAnnotation] = value
	case "desired":
		rs.Annotations[rollout.DesiredReplicasAnnotation] = value
	case "max":
		rs.Annotations[rollout.MaxReplicasAnnotation] = value
	case "owner":
		rs.OwnerReferences = nil
		if value != "none" {
			other := w.owner()
			other[0].Name, other[0].UID = value, types.UID("uid-of-"+value)
			rs.OwnerReferences = other
		}
	case "labels":
		rs.Labels = map[string]string{"app": value}
	case "deleting":
		rs.DeletionTimestamp = &metav1.Time{Time: w.now}
	case "failure":
		status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: value}}
	case "over":
		status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionFalse, Reason: "Over", Message: value}}
	case "other":
		status.Conditions = []appsv1.ReplicaSetCondition{{Type: "Other", Status: corev1.ConditionTrue, Reason: "Other", Message: value}}
	case "well":
		status.Conditions = nil
	default:
		return fmt.Errorf("no such setting of a ReplicaSet: %q", name)
	}
	return nil
}
