package replicas_test

import (
	"fmt"
	"testing"
)

// BenchmarkDecide shows what one look at a set costs: in rest, and when half
// of its Pods have to be ranked and go.
func BenchmarkDecide(b *testing.B) {
	for _, count := range []int{10, 1_000, 10_000} {
		w := newWorld()
		for i := range count {
			name := fmt.Sprintf("web-%05d", i)
			pod, err := w.podOf(name, []string{fmt.Sprintf("node=n%d", i%7), fmt.Sprintf("ready=%ds", i*37%5000)})
			if err != nil {
				b.Fatal(err)
			}
			w.pods[name] = pod
		}
		for _, wanted := range []int{count, count / 2} {
			w.set.Replicas = int32(wanted)
			b.Run(fmt.Sprintf("pods=%d/wanted=%d", count, wanted), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.decide()
				}
			})
		}
	}
}
