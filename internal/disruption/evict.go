package disruption

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxDisrupted is how many Pods that were let go a budget remembers. More mean
// that nobody sees their deletions.
const maxDisrupted = 2000

// Disrupts tells whether the eviction of a Pod could disrupt anything. It does
// not while it has not started, when it has ended, or is being deleted anyhow:
// then no budget is asked.
func Disrupts(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed:
		return false
	}
	return pod.DeletionTimestamp == nil
}

// HasEnded tells of a Pod that will never be ready again, whatever comes.
func HasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil
}

// Guards tells whether the eviction of a Pod has to Spend from the budget that
// covers it. One that is not ready is none of the healthy Pods: it may go while
// there are enough of these, or always, by the budget's
// unhealthyPodEvictionPolicy. A policy that is not known is the careful one.
func Guards(budget *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	if isReady(pod) {
		return true
	}
	if policy := budget.Spec.UnhealthyPodEvictionPolicy; policy != nil && *policy == policyv1.AlwaysAllow {
		return false
	}
	return budget.Status.CurrentHealthy < budget.Status.DesiredHealthy || budget.Status.DesiredHealthy <= 0
}

// Refusal is why a budget does not let a Pod go.
type Refusal struct {
	Kind RefusalKind
	// Message is what the API says.
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// RefusalKind is what a client can do about a refusal.
type RefusalKind int

const (
	// Unobserved: the budget has changed, and its status not yet. It will.
	Unobserved RefusalKind = iota
	// Exhausted: no disruption is left until Pods become healthy.
	Exhausted
	// Broken: its status cannot be right.
	Broken
)

// Spend takes the disruption of the named Pod out of a budget's status. It
// returns a *Refusal, and leaves the budget as it is, if there is none to take.
func Spend(budget *policyv1.PodDisruptionBudget, pod string, now time.Time) error {
	status := &budget.Status
	switch {
	case status.ObservedGeneration < budget.Generation:
		return &Refusal{Unobserved, fmt.Sprintf("The disruption budget %s is still being processed by the server.", budget.Name)}
	case status.DisruptionsAllowed < 0:
		return &Refusal{Broken, "pdb disruptions allowed is negative"}
	case len(status.DisruptedPods) > maxDisrupted:
		return &Refusal{Broken, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"}
	case status.DisruptionsAllowed == 0:
		return &Refusal{Exhausted, fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently",
			budget.Name, status.DesiredHealthy, status.CurrentHealthy)}
	}
	status.DisruptionsAllowed--
	if status.DisruptionsAllowed == 0 {
		setAllowed(status, now)
	}
	if status.DisruptedPods == nil {
		status.DisruptedPods = map[string]metav1.Time{}
	}
	status.DisruptedPods[pod] = metav1.NewTime(now)
	return nil
}
