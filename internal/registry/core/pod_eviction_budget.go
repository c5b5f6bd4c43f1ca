package core

import (
	"context"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/disruption"
)

// Budgets are the disruption budgets that evictions ask.
type Budgets interface {
	// Covering returns those that select a Pod, as they are now.
	Covering(ctx context.Context, pod *corev1.Pod) ([]*policyv1.PodDisruptionBudget, error)
	// Spend takes the disruption of a Pod out of a budget. It returns an API
	// error if there is none to take, and a conflict if the budget is gone.
	Spend(ctx context.Context, budget *policyv1.PodDisruptionBudget, pod *corev1.Pod, dryRun bool) error
}

// ask takes the Pod's disruption out of its budget, where that has a say.
// asItIs is true for a Pod that may go because it is not healthy: not any more
// if it becomes so now.
func (s *evictionStorage) ask(ctx context.Context, pod *corev1.Pod, dryRun bool) (asItIs bool, err error) {
	if !disruption.Disrupts(pod) {
		return !disruption.HasEnded(pod), nil
	}
	covering, err := s.budgets.Covering(ctx, pod)
	switch {
	case err != nil || len(covering) == 0:
		return false, err
	case len(covering) > 1:
		return false, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		}}
	case !disruption.Guards(covering[0], pod):
		return true, nil
	}
	return false, s.budgets.Spend(ctx, covering[0], pod, dryRun)
}

// meant tells whether this is the Pod that the client wants to evict.
func meant(pod *corev1.Pod, wanted *metav1.Preconditions) bool {
	return wanted == nil ||
		(wanted.UID == nil || *wanted.UID == pod.UID) && (wanted.ResourceVersion == nil || *wanted.ResourceVersion == pod.ResourceVersion)
}

// guard makes a deletion fail if the Pod is not any more what it is. It
// returns false where the client does so itself.
func guard(deletion *metav1.DeleteOptions, pod *corev1.Pod) bool {
	if deletion.Preconditions == nil {
		deletion.Preconditions = &metav1.Preconditions{}
	}
	if deletion.Preconditions.ResourceVersion != nil {
		return false
	}
	deletion.Preconditions.ResourceVersion = &pod.ResourceVersion
	return true
}
