package disruption

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// expected is how many Pods there should be, and how many of them have to be
// healthy.
type expected struct {
	pods, healthy int32
	// unmanaged is true if a Pod has no controller that could say how many
	// there should be, and that was asked.
	unmanaged bool
}

// expectedOf computes what a budget asks for. A count of minAvailable is about
// the Pods that there are; all else is about how many there should be, of which
// percentages are taken, rounded up.
func expectedOf(s Snapshot, pods []*corev1.Pod) (expected, error) {
	spec := &s.Budget.Spec
	switch {
	case spec.MaxUnavailable == nil && spec.MinAvailable == nil:
		return expected{}, nil
	case spec.MaxUnavailable == nil && spec.MinAvailable.Type == intstr.Int:
		return expected{pods: bounded(len(pods)), healthy: spec.MinAvailable.IntVal}, nil
	}
	total, unmanaged, err := scaleOf(s, pods)
	if err != nil {
		return expected{}, err
	}
	amount := spec.MinAvailable
	if spec.MaxUnavailable != nil {
		amount = spec.MaxUnavailable
	}
	part, err := intstr.GetScaledValueFromIntOrPercent(amount, total, true)
	if err != nil {
		return expected{}, err
	}
	if spec.MaxUnavailable != nil {
		part = total - part
	}
	return expected{pods: bounded(total), healthy: bounded(part), unmanaged: unmanaged}, nil
}

// bounded is a count as the API has it.
func bounded(count int) int32 { return int32(min(max(0, count), math.MaxInt32)) }

// scaleOf adds up how many Pods the controllers of these want, each once.
func scaleOf(s Snapshot, pods []*corev1.Pod) (total int, unmanaged bool, err error) {
	counted := map[types.UID]bool{}
	for _, pod := range pods {
		controller := metav1.GetControllerOfNoCopy(pod)
		if controller == nil {
			unmanaged = true
			continue
		}
		uid, workload, found := workloadOf(s, controller.UID)
		if !found {
			return total, unmanaged, noScale(pod, controller)
		}
		if !counted[uid] {
			counted[uid] = true
			total += int(workload.Replicas)
		}
	}
	return total, unmanaged, nil
}

// workloadOf is the Deployment of a ReplicaSet, or else the workload itself. One
// whose Deployment is gone speaks for itself.
func workloadOf(s Snapshot, uid types.UID) (types.UID, Workload, bool) {
	workload, found := s.Workloads[uid]
	if owner, owned := s.Workloads[workload.Owner]; owned {
		return workload.Owner, owner, true
	}
	return uid, workload, found
}

// scaled are the kinds whose objects say how many Pods they want.
var scaled = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}: true, {Group: "apps", Kind: "ReplicaSet"}: true, {Kind: "ReplicationController"}: true,
}

// noScale says why nobody knows how many Pods there should be.
func noScale(pod *corev1.Pod, controller *metav1.OwnerReference) error {
	kind := schema.FromAPIVersionAndKind(controller.APIVersion, controller.Kind)
	if scaled[kind.GroupKind()] {
		return fmt.Errorf("found no controllers for pod %q", pod.Name)
	}
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return fmt.Errorf("%s does not implement the scale subresource", resource.GroupResource())
}
