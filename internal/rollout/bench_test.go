package rollout_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/rollout"
)

// BenchmarkDecide is one decision in mid-rollout, by the number of ReplicaSets
// that the history holds. The number of Pods plays no part in RollingUpdate.
func BenchmarkDecide(b *testing.B) {
	for _, sets := range []int{2, 11, 100} {
		b.Run(fmt.Sprintf("sets=%d", sets), func(b *testing.B) {
			w := newWorld()
			for i := range sets {
				w.changeSet(fmt.Sprintf("web-%d", i), []string{fmt.Sprintf("image=v%d", i), fmt.Sprintf("revision=%d", i)})
			}
			w.changeSet("web-0", []string{"replicas=2", "pods=2"})
			w.changeDeployment([]string{fmt.Sprintf("image=v%d", sets-1)})
			snapshot := rollout.Snapshot{Now: w.now, Deployment: w.deployment, ReplicaSets: w.sorted(), Pods: w.pods}
			b.ReportAllocs()
			for b.Loop() {
				rollout.Decide(snapshot)
			}
		})
	}
}

// BenchmarkDecideByPods is one decision of Recreate, which alone looks at
// Pods, by the number of old ones that it waits for or that have ended.
func BenchmarkDecideByPods(b *testing.B) {
	for _, count := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("pods=%d", count), func(b *testing.B) {
			w := newWorld()
			w.changeSet("web-0", []string{"image=v1", "revision=1"})
			w.changeDeployment([]string{"strategy=Recreate", "image=v2", fmt.Sprintf("replicas=%d", count)})
			uid := w.sets["web-0"].UID
			for i := range count {
				w.pods[uid] = append(w.pods[uid], &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-0-%d", i)}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded},
				})
			}
			snapshot := rollout.Snapshot{Now: w.now, Deployment: w.deployment, ReplicaSets: w.sorted(), Pods: w.pods}
			b.ReportAllocs()
			for b.Loop() {
				rollout.Decide(snapshot)
			}
		})
	}
}
