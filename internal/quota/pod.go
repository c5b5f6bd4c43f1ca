package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// PodUsage returns what a Pod uses. count/pods counts every stored Pod, the
// others only those that have not ended.
func PodUsage(pod *corev1.Pod, now time.Time) corev1.ResourceList {
	if !inUse(pod, now) {
		return corev1.ResourceList{countPrefix + "pods": one()}
	}
	options := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	used := computeUsage(resourcehelper.PodRequests(pod, options), resourcehelper.PodLimits(pod, options))
	used[countPrefix+"pods"], used[corev1.ResourcePods] = one(), one()
	return used
}

func one() resource.Quantity { return *resource.NewQuantity(1, resource.DecimalSI) }

// inUse is false for a Pod that has ended, and for one that should have: its
// node may never come back to say so.
func inUse(pod *corev1.Pod, now time.Time) bool {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return false
	}
	end, ends := PodEnd(pod)
	return !ends || !now.After(end)
}

// PodEnd returns when a Pod that is being deleted is not counted any more,
// whether it has gone by then or not.
func PodEnd(pod *corev1.Pod) (time.Time, bool) {
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return time.Time{}, false
	}
	return pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second), true
}

// computeUsage names what is requested and what is limited as quotas do: cpu
// and requests.cpu are the same.
func computeUsage(requests, limits corev1.ResourceList) corev1.ResourceList {
	used := corev1.ResourceList{}
	for name, quantity := range requests {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage, strings.HasPrefix(string(name), hugePages):
			used[name], used[requestsPrefix+name] = quantity, quantity
		case isExtended(name):
			used[requestsPrefix+name] = quantity
		}
	}
	for name, quantity := range limits {
		if name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage {
			used["limits."+name] = quantity
		}
	}
	return used
}

// explicit are the resources that every container has to state where there is
// a quota for them.
var explicit = map[corev1.ResourceName]bool{
	corev1.ResourceCPU: true, corev1.ResourceMemory: true,
	corev1.ResourceRequestsCPU: true, corev1.ResourceRequestsMemory: true,
	corev1.ResourceLimitsCPU: true, corev1.ResourceLimitsMemory: true,
}

// PodConstraints returns an error if a container leaves out what the quota's
// resources require it to state.
func PodConstraints(required []corev1.ResourceName, pod *corev1.Pod) error {
	missing := map[corev1.ResourceName][]string{}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, container := range containers {
			stated := computeUsage(container.Resources.Requests, container.Resources.Limits)
			for _, name := range required {
				if _, ok := stated[name]; explicit[name] && !ok {
					missing[name] = append(missing[name], container.Name)
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		slices.Sort(missing[name])
		texts = append(texts, fmt.Sprintf("%s for: %s", name, strings.Join(slices.Compact(missing[name]), ",")))
	}
	return fmt.Errorf("must specify %s", strings.Join(texts, "; "))
}
