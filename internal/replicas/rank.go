package replicas

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cheapest picks the Pods to delete: those whose loss costs least. around are
// all Pods that count for the spread over nodes.
func cheapest(active, around []*corev1.Pod, count int, now time.Time) []PodRef {
	onNode := map[string]int{}
	for _, pod := range around {
		if isActive(pod) {
			onNode[pod.Spec.NodeName]++
		}
	}
	sorted := slices.Clone(active)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int { return compareCost(a, b, onNode, now) })
	var refs []PodRef
	for _, pod := range sorted[:min(count, len(sorted))] {
		refs = append(refs, refOf(pod))
	}
	return refs
}

// compareCost is below 0 if a goes before b. Each rule decides only where all
// before it see no difference. Upstream lets the UID decide at once where two
// ready times differ within a bucket, but looks further where they are equal;
// that is not transitive, so here both look further.
func compareCost(a, b *corev1.Pod, onNode map[string]int, now time.Time) int {
	sinceA, readyA := readySince(a)
	sinceB, readyB := readySince(b)
	return cmp.Or(
		// Without a node before with one.
		compareBool(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		cmp.Compare(phaseRank[a.Status.Phase], phaseRank[b.Status.Phase]),
		compareBool(readyA, readyB),
		cmp.Compare(deletionCost(a), deletionCost(b)),
		// From the node that has more of them.
		cmp.Compare(onNode[b.Spec.NodeName], onNode[a.Spec.NodeName]),
		youngerFirst(sinceA, sinceB, now),
		cmp.Compare(restarts(b), restarts(a)),
		cmp.Compare(sidecarRestarts(b), sidecarRestarts(a)),
		youngerFirst(a.CreationTimestamp, b.CreationTimestamp, now),
		cmp.Compare(a.UID, b.UID),
	)
}

var phaseRank = map[corev1.PodPhase]int{corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// deletionCost is what a user says that a Pod is worth (KEP-2255); 0 where it
// makes no sense. A plus sign or a zero in front makes none.
func deletionCost(pod *corev1.Pod) int32 {
	text := pod.Annotations[corev1.PodDeletionCost]
	cost, err := strconv.ParseInt(text, 10, 32)
	if err != nil || text[0] == '+' || text[0] == '0' && text != "0" {
		return 0
	}
	return int32(cost)
}

// restarts is the count of the container that was started again most often.
func restarts(pod *corev1.Pod) int32 {
	most := int32(0)
	for _, status := range pod.Status.ContainerStatuses {
		most = max(most, status.RestartCount)
	}
	return most
}

// sidecarRestarts is the same of the init containers that keep running. Of
// the others, restarts say nothing about the Pod as it runs now.
func sidecarRestarts(pod *corev1.Pod) int32 {
	most := int32(0)
	for _, status := range pod.Status.InitContainerStatuses {
		if isSidecar(pod, status.Name) {
			most = max(most, status.RestartCount)
		}
	}
	return most
}

func isSidecar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(container corev1.Container) bool {
		return container.Name == name && container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

// youngerFirst compares ages on a logarithmic scale, so that Pods of about the
// same age are equal and chance decides (KEP-2185).
func youngerFirst(a, b metav1.Time, now time.Time) int {
	if a.IsZero() || b.IsZero() {
		return compareBool(a.IsZero(), b.IsZero()) * -1
	}
	return cmp.Compare(ageRank(a, now), ageRank(b, now))
}

// ageRank is the logarithm of an age: the bits of its nanoseconds, 0 for none.
func ageRank(since metav1.Time, now time.Time) int {
	return bits.Len64(uint64(max(0, now.Sub(since.Time))))
}
