package disruption_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"coxswain.dev/cox/internal/disruption"
)

// BenchmarkDecide decides about a budget whose namespace has so many Pods, all
// of them its own.
func BenchmarkDecide(b *testing.B) {
	for _, pods := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			w := newWorld()
			for _, line := range []string{"budget max=10%", fmt.Sprintf("workload web %d", pods), fmt.Sprintf("pods web %d", pods)} {
				if err := w.Do(line); err != nil {
					b.Fatal(err)
				}
			}
			all := slices.Collect(maps.Values(w.pods))
			for b.Loop() {
				disruption.Decide(disruption.Snapshot{Now: w.now, Budget: w.budget, Pods: all, Workloads: w.workloads})
			}
		})
	}
}
