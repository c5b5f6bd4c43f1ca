package core

import (
	"context"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func pod(deps Dependencies, services *storedServices, stored *storedPods) registry.Kind[*corev1.Pod] {
	return registry.Kind[*corev1.Pod]{
		Version: corev1.SchemeGroupVersion, Resource: "pods", Singular: "pod", ShortNames: []string{"po"}, Categories: []string{"all"},
		New:     func() *corev1.Pod { return &corev1.Pod{} },
		NewList: func() runtime.Object { return &corev1.PodList{} },
		PrepareForCreate: func(_ context.Context, obj *corev1.Pod) {
			obj.Generation = 1
			obj.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: api.QOSClass(obj)}
			if len(obj.Spec.SchedulingGates) > 0 {
				obj.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
					Message: "Scheduling is blocked due to non-empty scheduling gates", ObservedGeneration: obj.Generation,
				}}
			}
		},
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.Pod) {
			obj.Status = old.Status
			obj.Generation = old.Generation
			if !equality.Semantic.DeepEqual(obj.Spec, old.Spec) {
				obj.Generation++
			}
		},
		Validate:       func(_ context.Context, obj *corev1.Pod) field.ErrorList { return api.ValidatePod(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *corev1.Pod) field.ErrorList { return api.ValidatePodUpdate(obj, old) },
		Warnings: func(_ context.Context, obj, old *corev1.Pod) []string {
			if old != nil {
				return nil // they were said when it was made
			}
			return api.PodWarnings(obj)
		},
		GracefulDelete: func(ctx context.Context, obj *corev1.Pod, options *metav1.DeleteOptions) bool {
			return gracefulDelete(ctx, obj, options, services)
		},
		Status: &registry.Status[*corev1.Pod]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.Pod) {
				obj.Spec, obj.DeletionTimestamp, obj.DeletionGracePeriodSeconds = old.Spec, old.DeletionTimestamp, old.DeletionGracePeriodSeconds
				obj.OwnerReferences = old.OwnerReferences
				obj.Status.QOSClass = old.Status.QOSClass
			},
			ValidateUpdate: func(_ context.Context, obj, old *corev1.Pod) field.ErrorList {
				return api.ValidatePodStatusUpdate(obj, old)
			},
		},
		Fields:  podFields,
		Columns: podColumns,
		Row:     podRow,
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			stored.store = store
			storages := streamStorages(store, deps)
			maps.Copy(storages, map[string]rest.Storage{
				"binding":             &bindingStorage{store},
				"ephemeralcontainers": newEphemeralStorage(store),
				"eviction":            &evictionStorage{store, deps.Budgets},
				"log":                 &logStorage{store, deps.Nodes, deps.Stopping},
				"proxy":               newPodProxy(store, deps),
			})
			return storages
		},
	}
}

// gracefulDelete gives a Pod the time its spec asks for, and before that the
// time that its connections may take to end. A Pod that no node has, or that
// has ended, needs none.
func gracefulDelete(ctx context.Context, obj *corev1.Pod, options *metav1.DeleteOptions, services *storedServices) bool {
	if options == nil {
		return false
	}
	asked, known := registry.AskedGrace(ctx, obj.UID, options)
	period := int64(0)
	switch {
	case asked != nil:
		period = *asked
	case obj.Spec.TerminationGracePeriodSeconds != nil:
		period = *obj.Spec.TerminationGracePeriodSeconds
	}
	if obj.Spec.NodeName == "" || obj.Status.Phase == corev1.PodFailed || obj.Status.Phase == corev1.PodSucceeded {
		period = 0
	}
	if period < 0 {
		period = 1
	}
	if known {
		period += addDrain(obj, period, services.leadingTo(ctx, obj))
	}
	options.GracePeriodSeconds = &period
	return true
}

func podFields(obj *corev1.Pod) fields.Set {
	return fields.Set{
		"spec.nodeName":            obj.Spec.NodeName,
		"spec.restartPolicy":       string(obj.Spec.RestartPolicy),
		"spec.schedulerName":       obj.Spec.SchedulerName,
		"spec.serviceAccountName":  obj.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(obj.Spec.HostNetwork),
		"status.phase":             string(obj.Status.Phase),
		"status.podIP":             obj.Status.PodIP,
		"status.nominatedNodeName": obj.Status.NominatedNodeName,
	}
}
