package rollout_test

import (
	"fmt"
	"testing"

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
