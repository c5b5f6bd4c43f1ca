package disruption

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Timeout is how long a Pod that was let go may take to be marked for
// deletion. Then it counts again: its eviction came to nothing.
const Timeout = 2 * time.Minute

// Decide makes the status of a budget. What cannot be computed allows no
// disruption, and says why.
func Decide(s Snapshot) Decision {
	d := decision{Snapshot: s}
	d.Status = *s.Budget.Status.DeepCopy()
	if err := d.count(); err != nil { // and what was counted before stays
		d.Status.DisruptionsAllowed = 0
		d.setCondition(policyv1.SyncFailedReason, err.Error())
	}
	d.Changed = !equality.Semantic.DeepEqual(s.Budget.Status, d.Status)
	if !d.Changed {
		d.Events = nil // they were told when it became so
	}
	return d.Decision
}

// decision is a Decision in the making.
type decision struct {
	Snapshot
	Decision
}

func (d *decision) tell(pod *corev1.Pod, kind, reason, format string, args ...any) {
	d.Events = append(d.Events, Event{Pod: pod, Type: kind, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (d *decision) count() error {
	pods, err := d.selected()
	if err != nil {
		d.tell(nil, corev1.EventTypeWarning, "NoPods", "Failed to get pods: %v", err)
		return err
	}
	if len(pods) == 0 {
		d.tell(nil, corev1.EventTypeNormal, "NoPods", "No matching pods found")
	}
	expected, err := expectedOf(d.Snapshot, pods)
	if err != nil {
		d.tell(nil, corev1.EventTypeWarning, "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %v", err)
		return err
	}
	if expected.unmanaged {
		d.tell(nil, corev1.EventTypeWarning, "UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: %v) were found "+
			"to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" "+
			"field of the PDB to an integer value.", d.Budget.Spec.Selector)
	}
	d.Status.DisruptedPods = d.disrupted(pods)
	d.Status.CurrentHealthy = d.healthy(pods)
	d.Status.ExpectedPods, d.Status.DesiredHealthy = expected.pods, expected.healthy
	d.Status.ObservedGeneration = d.Budget.Generation
	d.Status.DisruptionsAllowed = max(0, d.Status.CurrentHealthy-expected.healthy)
	if expected.pods <= 0 {
		// The first Pods may appear before this is looked at again.
		d.Status.DisruptionsAllowed = 0
	}
	setAllowed(&d.Status, d.Now)
	return nil
}

// selected are the Pods that count, in the order of their names.
func (d *decision) selected() ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(d.Budget.Spec.Selector)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, pod := range d.Pods {
		if pod.Namespace == d.Budget.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods, nil
}

// disrupted are the Pods that were let go, whose deletion has not been seen
// and may still come.
func (d *decision) disrupted(pods []*corev1.Pod) map[string]metav1.Time {
	var still map[string]metav1.Time
	for _, pod := range pods {
		at, letGo := d.Budget.Status.DisruptedPods[pod.Name]
		if !letGo || pod.DeletionTimestamp != nil {
			continue
		}
		end := at.Add(Timeout)
		if !end.After(d.Now) {
			d.tell(pod, corev1.EventTypeWarning, "NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", d.Budget.Namespace, d.Budget.Name)
			continue
		}
		if still == nil {
			still = map[string]metav1.Time{}
		}
		still[pod.Name] = at
		if d.WakeAt.IsZero() || end.Before(d.WakeAt) {
			d.WakeAt = end
		}
	}
	return still
}

// healthy counts the Pods that are ready and are to stay.
func (d *decision) healthy(pods []*corev1.Pod) int32 {
	count := 0
	for _, pod := range pods {
		_, letGo := d.Status.DisruptedPods[pod.Name]
		if pod.DeletionTimestamp == nil && !letGo && isReady(pod) {
			count++
		}
	}
	return int32(min(count, math.MaxInt32))
}

// setAllowed makes the condition say what DisruptionsAllowed says.
func setAllowed(status *policyv1.PodDisruptionBudgetStatus, now time.Time) {
	reason := policyv1.InsufficientPodsReason
	if status.DisruptionsAllowed > 0 {
		reason = policyv1.SufficientPodsReason
	}
	setCondition(status, reason, "", now)
}

func (d *decision) setCondition(reason, message string) {
	setCondition(&d.Status, reason, message, d.Now)
}

func setCondition(status *policyv1.PodDisruptionBudgetStatus, reason, message string, now time.Time) {
	condition := metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
	}
	if reason == policyv1.SufficientPodsReason {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}
