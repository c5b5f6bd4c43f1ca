package policy

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"

	"coxswain.dev/cox/internal/disruption"
)

// Budgets are the stored disruption budgets, for evictions.
type Budgets struct{ store *genericregistry.Store }

// Covering returns the budgets that select a Pod, as they are now.
func (b *Budgets) Covering(ctx context.Context, pod *corev1.Pod) ([]*policyv1.PodDisruptionBudget, error) {
	ctx = genericapirequest.WithNamespace(ctx, pod.Namespace)
	all := b.store.PredicateFunc(labels.Everything(), fields.Everything())
	list, err := b.store.ListPredicate(ctx, all, &metainternal.ListOptions{})
	if err != nil {
		return nil, err
	}
	var covering []*policyv1.PodDisruptionBudget
	for i := range list.(*policyv1.PodDisruptionBudgetList).Items {
		if budget := &list.(*policyv1.PodDisruptionBudgetList).Items[i]; disruption.Covers(budget, pod) {
			covering = append(covering, budget)
		}
	}
	return covering, nil
}

// Spend takes the disruption of a Pod out of a budget, in one write that
// nobody else's comes between, or says as an API error why there is none to
// take. A budget that is another by now is a conflict.
func (b *Budgets) Spend(ctx context.Context, budget *policyv1.PodDisruptionBudget, pod *corev1.Pod, dryRun bool) error {
	ctx = genericapirequest.WithNamespace(ctx, budget.Namespace)
	key, err := b.store.KeyFunc(ctx, budget.Name)
	if err != nil {
		return err
	}
	preconditions := &storage.Preconditions{UID: &budget.UID}
	err = b.store.Storage.GuaranteedUpdate(ctx, key, b.store.NewFunc(), false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		return obj, refusal(budget.Name, disruption.Spend(obj.(*policyv1.PodDisruptionBudget), pod.Name, time.Now()))
	}), dryRun, nil)
	var status apierrors.APIStatus
	switch {
	case err == nil || errors.As(err, &status):
		return err
	case storage.IsNotFound(err) || storage.IsInvalidObj(err) || storage.IsConflict(err):
		return apierrors.NewConflict(b.store.DefaultQualifiedResource, budget.Name, err)
	default:
		return storeerr.InterpretUpdateError(err, b.store.DefaultQualifiedResource, budget.Name)
	}
}

// processingSeconds is when to ask again whether a changed budget is observed.
const processingSeconds = 10

// refusal is what the API answers to an eviction that a budget does not allow.
func refusal(name string, err error) error {
	var refused *disruption.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	seconds := 0 // nobody knows when Pods become healthy
	switch refused.Kind {
	case disruption.Broken:
		return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), name, refused)
	case disruption.Unobserved:
		seconds = processingSeconds
	}
	answer := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", seconds)
	answer.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: refused.Message}}
	return answer
}
