package controllers

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"

	"coxswain.dev/cox/internal/reconcile"
)

const (
	// admissionLag is how far the admission of quotas may be behind what the
	// informers show: a set that is refused once more is tried again after it.
	admissionLag = time.Second
	// quotaAudit is how often a refused set is tried although no quota seems
	// to have been freed. Every refusal is an event, and so a write to disk.
	quotaAudit = 5 * time.Minute
)

// refusedSets makes what a quota has refused wait for the quota, and not for
// a back-off that grows.
type refusedSets struct {
	*reconcile.Sets
	*loop
}

// reconcile takes the refusal of a quota for a state, not for a failure.
func (r refusedSets) reconcile(ctx context.Context, k key) (time.Time, error) {
	known := r.HasFailed(k)
	wakeAt, err := r.Sets.Reconcile(ctx, k)
	if !exceedsQuota(err) {
		return wakeAt, err
	}
	r.log.Info("a quota is used up, waiting until it is not", "key", k.String(), "error", err)
	if known {
		return sooner(wakeAt, now().Add(quotaAudit)), nil
	}
	// The quota may have been freed before the refusal was noted.
	return sooner(wakeAt, now().Add(admissionLag)), nil
}

func exceedsQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota:")
}

// watch tries the sets of a namespace when one of its quotas has room again.
func (r refusedSets) watch(quotas cache.SharedIndexInformer) error {
	freed := func(namespace string) {
		for _, k := range r.Failed(namespace) {
			r.queue.Add(k)
			r.queue.AddAfter(k, admissionLag)
		}
	}
	_, err := quotas.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			if quota := after.(*corev1.ResourceQuota); frees(before.(*corev1.ResourceQuota).Status, quota.Status) {
				freed(quota.Namespace)
			}
		},
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			if quota, ok := obj.(*corev1.ResourceQuota); ok {
				freed(quota.Namespace)
			}
		},
	})
	return err
}

// frees tells whether a quota has room that it had not before.
func frees(before, after corev1.ResourceQuotaStatus) bool {
	for name := range before.Hard {
		if _, limited := after.Hard[name]; !limited {
			return true
		}
	}
	return lowers(before.Used, after.Used) || lowers(after.Hard, before.Hard)
}
